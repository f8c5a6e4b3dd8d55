"""What a run can be exported to: one file a kind, found through `limen.registry`."""
