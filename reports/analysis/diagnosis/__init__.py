"""Causes of late steps: facts, rules over them, and how findings are weighed."""
