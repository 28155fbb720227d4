"""Hosts that a test sends to: `--host`, or those that the user classes of a locustfile name."""

from locust import FastHttpUser, HttpUser
from locust.env import Environment

from scalelag.errors import UsageError


def hosts_of(environment: Environment) -> list[str]:
    """Return the hosts, each once, in the order of the user classes; none if no class needs one.

    Raises UsageError if a class needs a host and has none.
    """
    if environment.host:
        return [environment.host]
    for user in environment.user_classes:
        needs_host = getattr(user, "needs_host", issubclass(user, (HttpUser, FastHttpUser)))
        if needs_host and not user.host:
            raise UsageError(
                f"--host is missing: the URL at which Serve answers HTTP. {user.__name__} names no "
                "host of its own."
            )
    return list(dict.fromkeys(str(user.host) for user in environment.user_classes if user.host))
