"""Locust's web page with our tabs: feed, form and pages."""
