"""The shelf of observers: one file each, found through the registry, imported by nobody."""
