"""Comparisons of runs, and trends over many."""
