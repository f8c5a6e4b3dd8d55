"""Beyond one machine and one endpoint: which of several servers is asked, and how fast."""
