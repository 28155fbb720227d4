"""Figures of the run under way for a Prometheus server that scrapes them."""
