"""The run directory: plan, rows, clock, writer, loader. Every stage talks through it."""
