"""Load plans: stages, traces, and when each request is due."""
