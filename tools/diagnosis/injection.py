"""A run with something wrong in it on purpose, as data.

The plans are short and the autoscaling settings fast, so that a run takes about 30 s.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from reports.model.causes import Cause
from tools.diagnosis.hooks import Hook, nothing

FAST: Final = {
    "metrics_interval_s": 0.3,
    "look_back_period_s": 1,
    "upscale_delay_s": 1,
    "downscale_delay_s": 600,
    "graceful_shutdown_wait_loop_s": 0.2,
    "graceful_shutdown_timeout_s": 2,
}
# 4 rps of 0.2 s keep 0.8 requests open, 25 rps 5: 3 replicas of 2.
STEP: Final = "4rps:3s,25rps:{hold}s"
CPUS: Final = 8

Place = Literal["shared", "proxied", "slow_loop", "haproxy", "two_nodes", "node_autoscaler"]


class Injection(msgspec.Struct, frozen=True):
    """One run. `cause` is None for a healthy one; `injected` says in words what is wrong.

    `arguments` are the application's, beside FAST; in them `{files}` is a folder that is new for
    this run. `deployment` holds further options of it by name, in Serve's schema. `step_at_s` is
    when the load step comes that `hook` counts from. Of `kept` ones a record is among the tests,
    in tests/golden/stored/causes. `held_out` ones were made when the rules were done. `limit` is the
    deployment that the finding has to name, if any.
    """

    name: str
    cause: Cause | None
    injected: str
    app: str = "sleeper"
    arguments: Mapping[str, Any] = {}
    deployment: Mapping[str, Any] = {}
    steps: str = STEP.format(hold=12)
    step_at_s: float = 3.0
    options: tuple[str, ...] = ()
    place: Place = "shared"
    hook: Hook = nothing
    kept: bool = False
    held_out: bool = False
    limit: str = ""

    def app_arguments(self, files: str) -> list[str]:
        """KEY=VALUE for the application's builder."""
        # Each deployment of these has its own settings.
        grouped = self.app in ("pipeline", "front")
        settings = {**({} if grouped else FAST), **self.arguments}
        return [f"{key}={value}".format(files=files) for key, value in settings.items()]
