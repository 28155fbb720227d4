"""Builders and servers that tests of several tiers use."""
