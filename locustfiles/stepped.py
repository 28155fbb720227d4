"""Stepped load on one endpoint: `locust -f locustfiles/stepped.py --host URL --dashboard URL`.

`--steps` sets the load, `--path`, `--method` and `--json-body` the request. It runs with Locust's web
page, with `--headless` and with `--processes`.
"""

from scalelag.users import HttpPlanUser, StepShape, attach

__all__ = ["StepShape", "SteppedUser"]

attach()


class SteppedUser(HttpPlanUser):
    """Sends the request of the options at each arrival of the plan."""
