"""What the renderers print of a given analysis, and what holds of any report."""
