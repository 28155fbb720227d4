"""Latency, concurrency and recovery, from the request rows."""
