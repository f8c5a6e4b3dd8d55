"""Data sets of stimuli: planned, drawn in shards, verified."""
