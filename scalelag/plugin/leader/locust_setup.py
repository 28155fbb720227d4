"""Settings and state of Locust that a run depends on."""

from collections.abc import Iterable

from locust.env import Environment
from locust.runners import MasterRunner, Runner

from scalelag.options.run_options import RunOptions


def is_staffed(runner: Runner) -> bool:
    """Return True if there is a process that can send load."""
    return not isinstance(runner, MasterRunner) or runner.worker_count > 0


def sends_as_planned(environment: Environment) -> bool:
    """Return True if all users are ours, whose requests the gates judge."""
    return all(getattr(user, "follows_plan", False) for user in environment.user_classes)


def configure_locust(environment: Environment, options: RunOptions) -> None:
    """Set what Locust needs for a run with `options`."""
    if options.plan.unit == "users":
        # The other workers take over a lost worker's users at once, not at the next stage.
        vars(environment.parsed_options)["enable_rebalancing"] = True
    # A request that is on its way when the load ends is waited for, never cut off.
    environment.stop_timeout = max(environment.stop_timeout or 0.0, options.request.timeout_s + 1)


def make_prompts(user_classes: Iterable[type]) -> bool:
    """Return True if users send the prompts that options or a trace ask for."""
    return any(getattr(user, "makes_prompts", False) for user in user_classes)
