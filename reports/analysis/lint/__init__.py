"""Findings on a deployment's configuration, before and after a run."""
