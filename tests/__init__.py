"""The tests, one folder per tier; what several tiers use is in `tests.support`."""
