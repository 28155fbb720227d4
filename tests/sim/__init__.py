"""Tests against a real HTTP server with scripted replicas and known truth."""
