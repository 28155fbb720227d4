"""A finished analysis in, text out."""
