"""Stepped load on one endpoint: `locust -f locustfiles/stepped.py --host URL --dashboard URL`.

With the web page, with `--headless`, and with `--processes`; `--steps` says what to send.
"""

from locustfiles.shapes import StepShape
from locustfiles.users import ArrivalUser, SteppedUser
from scalelag.plugin.attach import attach

__all__ = ["ClosedLoopUser", "OpenLoopUser", "StepShape"]

attach()


class OpenLoopUser(ArrivalUser):
    """Serves plans in rps."""


class ClosedLoopUser(SteppedUser):
    """Serves plans in users."""
