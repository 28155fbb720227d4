"""Serve's own gauges: from the metrics ports of the nodes, or from a Prometheus server."""
