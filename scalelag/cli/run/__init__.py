"""`scalelag run`: the command, its attempts, and the load process that it starts."""
