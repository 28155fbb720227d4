"""Servers for load of each protocol, each in a process of its own, that note what reaches them."""
