"""Events of a run: their effects, and the time until the deployment was whole again."""
