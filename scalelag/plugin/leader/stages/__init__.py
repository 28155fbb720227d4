"""Stages of a run as they really begin and end."""
