"""Beyond one machine: runs of an array of jobs become one."""
