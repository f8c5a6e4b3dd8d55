"""Pages that a process of this machine serves while it runs: a run that is under way."""
