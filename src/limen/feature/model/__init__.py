"""Networks and where they are divided."""
