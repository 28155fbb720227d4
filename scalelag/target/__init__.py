"""Reaching what is tested: the embedded cluster, deployment of apps, preflight checks."""
