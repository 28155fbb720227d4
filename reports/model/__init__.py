"""The structs that reports are made of: everything that is written or rendered."""
