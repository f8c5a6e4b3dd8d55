"""Beyond one machine and one endpoint: replicas on a cluster, several servers and their pace, many jobs as one run."""
