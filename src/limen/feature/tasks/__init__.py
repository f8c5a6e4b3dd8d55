"""The shelf of tasks: one file each."""
