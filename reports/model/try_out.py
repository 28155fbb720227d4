"""Commands that try a change of settings on a recorded run, before it is deployed."""

import shlex
from collections.abc import Mapping
from typing import Final

from scalelag.record.rows import DeploymentKey

_RUN: Final = "RUN"


def whatif_command(key: DeploymentKey, settings: Mapping[str, float]) -> str | None:
    """`scalelag whatif RUN --set app/D:upscale_delay_s=1`; None without a setting to change.

    RUN stands for the run directory, which an analysis does not know.
    """
    if not settings:
        return None
    words = [
        word for name, value in settings.items() for word in ("--set", f"{key}:{name}={value:.10g}")
    ]
    return shlex.join(["scalelag", "whatif", _RUN, *words])


def on_run(command: str, record: str) -> str:
    """The command with the run directory in place of RUN; as it is if that is not known."""
    if not record:
        return command
    return command.replace(f" {_RUN} ", f" {shlex.quote(record)} ", 1)
