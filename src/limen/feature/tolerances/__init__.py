"""The shelf of tolerances: maps of how much each feature tolerates."""
