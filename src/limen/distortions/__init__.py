"""The shelf of distortions: one file each, found through the registry, imported by nobody."""
