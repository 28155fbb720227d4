"""Attachment of scalelag to a Locust environment: options, recorder, lifecycle."""
