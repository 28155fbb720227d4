"""Stepped load on one endpoint: `locust -f locustfiles/stepped.py --host URL --dashboard URL`.

With the web page, with `--headless`, and with `--processes`; `--steps` says what to send.
"""

from scalelag.packages import exit_if_shadowed

exit_if_shadowed()

from scalelag.plugin.attach import attach  # noqa: E402  after the check
from scalelag.users.http import HttpPlanUser  # noqa: E402  after the check
from scalelag.users.shape import StepShape  # noqa: E402  after the check

__all__ = ["StepShape", "SteppedUser"]

attach()


class SteppedUser(HttpPlanUser):
    """Sends what the options describe, as the plan says."""
