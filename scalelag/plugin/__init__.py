"""What attaches scalelag to a Locust environment: options, recorder, lifecycle."""
