"""Output of the renderers for a given analysis, and properties of any report."""
