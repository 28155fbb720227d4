"""scalelag: stepped load for Ray Serve, with probes that track the replicas."""

__version__ = "0.1.0"
