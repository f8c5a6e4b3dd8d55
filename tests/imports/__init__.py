"""Reading what others recorded."""
