"""The cluster during a run: its probes, its events, and the scale-down after the load."""
