"""What others recorded, read into a run: one file a kind, found through `limen.registry`."""
