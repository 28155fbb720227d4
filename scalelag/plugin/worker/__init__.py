"""A process that sends load: its share of the plan, and its rows."""
