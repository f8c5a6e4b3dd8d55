"""People as observers."""
