"""Soak: an hour of load, replicas that come and go, and what each process of ours holds meanwhile."""
