"""Deep features: how much each of them bears."""
