"""What an answer says: flags and faults from free text, positions, probabilities of tokens."""
