"""Our form, tabs and pages on Locust's web page."""
