"""A load test for Ray Serve autoscaling, with a probe that tracks the replicas."""

__version__ = "0.2.0"
