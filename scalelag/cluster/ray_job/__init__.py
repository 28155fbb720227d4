"""Load workers as actors on the Ray cluster, started by a Ray job."""
