"""The shelf of scenes: one file each, found through the registry, imported by nobody."""
