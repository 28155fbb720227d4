"""Search of the autoscaling settings that serve a recorded load best."""
