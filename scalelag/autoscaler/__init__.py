"""Ray Serve's own autoscaling decisions on virtual time, without a cluster."""
