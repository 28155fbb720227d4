"""A stand-in for the dashboard of a cluster: a script, and the server that plays it."""
