"""Replica-hours and shortage for days of traffic, in a coarse simulation."""
