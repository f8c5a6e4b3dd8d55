"""Before a run: what reaches an observer, whether it sees and follows, and what it has left to notice."""
