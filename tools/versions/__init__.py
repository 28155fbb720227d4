"""Runs on several versions of Ray, and the page of what each of them shows."""
