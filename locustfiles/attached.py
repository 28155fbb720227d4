"""Put before a locustfile of your own: `locust -f locustfiles/attached.py,yours.py`.

It brings the shape, the recorder and the probe, and no users; `scalelag run -f yours.py` does this.
"""

from locustfiles.shapes import StepShape
from scalelag.plugin.attach import attach

__all__ = ["StepShape"]

attach()
