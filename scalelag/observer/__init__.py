"""The probes of a run, in a process of their own: their threads, their files, and their messages."""
