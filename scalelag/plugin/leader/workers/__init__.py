"""Workers of a run: their clocks, rows and losses."""
