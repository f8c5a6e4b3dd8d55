"""The shelf of questions: one file each, found through the registry, imported by nobody."""
