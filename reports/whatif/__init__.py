"""A recorded run with other settings: simulation of its load through Ray's own policy."""
