"""The shelf of sources: where references come from; one file each, found through the registry, imported by nobody."""
