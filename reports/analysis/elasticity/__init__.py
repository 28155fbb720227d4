"""Demand against RUNNING replicas: SPEC's elasticity metrics and the step response."""
