"""The tests, one folder per tier; a package so that tiers can share the stand-in of `tests.sim`."""
