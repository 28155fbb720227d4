"""Plan, recorder and probe for a locustfile of yours: `locust -f locustfiles/attached.py,yours.py`.

It has no users of its own. `scalelag run -f yours.py` adds this file for you.
"""

from scalelag.users import StepShape, attach

__all__ = ["StepShape"]

attach()
