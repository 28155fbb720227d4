"""Options of a run: described, checked and parsed once."""
