"""Events with exact times from Serve's log files, read over the dashboard."""
