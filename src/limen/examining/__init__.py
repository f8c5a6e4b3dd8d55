"""How an exam is made: its pictures, its questions, how the answers are read, and what follows from them."""
