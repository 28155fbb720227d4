"""From a run directory to a verdict: analysis is pure, rendering computes nothing new."""
