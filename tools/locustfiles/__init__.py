"""Locustfiles of every kind, run by plain Locust and by scalelag, side by side."""
