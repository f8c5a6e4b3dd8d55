"""What others recorded, read into runs."""
