"""Real clusters of Ray Serve."""
