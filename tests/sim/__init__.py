"""Runs against servers of our own, with scripted replicas and known truth."""
