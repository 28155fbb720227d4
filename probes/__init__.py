"""What watches Ray Serve from outside, over the dashboard's HTTP port."""
