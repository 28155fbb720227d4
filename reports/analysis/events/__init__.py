"""Events of a run: what they brought about, and how long until it was whole again."""
