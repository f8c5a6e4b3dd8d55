"""The shelf of procedures: one file each, found through the registry, imported by nobody."""
