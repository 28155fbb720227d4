"""What people pass to `locust -f`: entry files, users, shapes and arrivals."""
