"""Beyond one machine and one endpoint: replicas on a cluster, several servers and how fast each is asked."""
