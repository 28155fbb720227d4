"""Faults under load: each is made while a run goes on, and its record and report are held to it."""
