"""Deep features: how much noise each of them tolerates."""
