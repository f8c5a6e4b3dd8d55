"""Beyond one process: observers on the GPUs and nodes of a Ray cluster."""
