"""WebSocket conversations: `locust -f locustfiles/websocket_echo.py --host URL --dashboard URL`.

`--steps` says how many, `--path` where, and `--json-body` (or `--body-file`) what is said.
"""

from scalelag.packages import exit_if_shadowed

exit_if_shadowed()

from scalelag.plugin.attach import attach  # noqa: E402  after the check
from scalelag.users.shape import StepShape  # noqa: E402  after the check
from scalelag.users.websocket import WebSocketPlanUser  # noqa: E402  after the check

__all__ = ["StepShape", "WebSocketEchoUser"]

attach(name="websocket-echo", json_body='{"text": "hello"}')


class WebSocketEchoUser(WebSocketPlanUser):
    """Says what the options say, as the plan says."""
