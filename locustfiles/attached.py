"""Put before a locustfile of your own: `locust -f locustfiles/attached.py,yours.py`.

It brings the shape, the recorder and the probe, and no users; `scalelag run -f yours.py` does this.
"""

from scalelag.packages import exit_if_shadowed

exit_if_shadowed()

from scalelag.plugin.attach import attach  # noqa: E402  after the check
from scalelag.users.shape import StepShape  # noqa: E402  after the check

__all__ = ["StepShape"]

attach()
