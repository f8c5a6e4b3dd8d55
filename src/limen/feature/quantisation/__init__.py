"""Step sizes for features, and what they cost to send."""
