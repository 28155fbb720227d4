"""User classes for locustfiles."""
