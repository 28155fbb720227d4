"""Tools for those who work on scalelag."""
