"""A report in a terminal, by rich."""
