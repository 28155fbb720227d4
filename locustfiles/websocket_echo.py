"""WebSocket conversations: `locust -f locustfiles/websocket_echo.py --host URL --dashboard URL`.

`--steps` sets the load, `--path` the endpoint, and `--json-body` (or `--body-file`) the message.
"""

from scalelag.users import StepShape, WebSocketPlanUser, attach

__all__ = ["StepShape", "WebSocketEchoUser"]

attach(name="websocket-echo", json_body='{"text": "hello"}')


class WebSocketEchoUser(WebSocketPlanUser):
    """Sends the message of the options at each arrival of the plan, and waits for one answer."""
