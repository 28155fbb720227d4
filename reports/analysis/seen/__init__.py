"""Requests at each deployment, as Serve's own gauges show them, and the application as a whole."""
