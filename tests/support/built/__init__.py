"""Runs, analyses and reports made by hand."""
