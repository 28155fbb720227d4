"""Prompts of known lengths: their words, shared prefixes, and the sessions that they are turns of."""
