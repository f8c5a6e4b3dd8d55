"""People as observers: how they are asked, who takes part, and what is kept of it."""
