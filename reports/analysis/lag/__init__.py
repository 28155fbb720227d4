"""Lag of each load step: timeline, phases, floor and scale-down."""
