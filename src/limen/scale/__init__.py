"""Beyond one machine and one endpoint: replicas on a cluster, several servers and their pace, runs of many jobs."""
