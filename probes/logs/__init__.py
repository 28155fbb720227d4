"""Log events with exact times, read from Serve's log files over the dashboard."""
