"""Faults made on purpose, for tests: stopped processes, a bad network, nodes that come and go."""
