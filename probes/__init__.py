"""Probes that watch Ray Serve from outside, over the dashboard's HTTP port."""
