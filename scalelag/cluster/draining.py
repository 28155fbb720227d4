"""Draining period of an ingress behind HAProxy, from the environment that a cluster was started in."""

from collections.abc import Mapping

from scalelag.cluster.haproxy import VARIABLE

_PERIOD = "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"
_DEFAULT_S = 30.0


def known_drain_s(environ: Mapping[str, str] | None) -> float | None:
    """Seconds that a stopped replica of an ingress stays reachable at least.

    0 if neither HAProxy mode nor direct ingress is on, None if `environ` is not known. The names
    are read in `ray/serve/_private/constants.py`; `perform_graceful_shutdown` in `replica.py` waits the
    period out.
    """
    if environ is None:
        return None
    if environ.get(VARIABLE) != "1" and not _is_on(environ):
        return 0.0
    try:
        return max(0.0, float(environ.get(_PERIOD, _DEFAULT_S)))
    except ValueError:
        return _DEFAULT_S


def _is_on(environ: Mapping[str, str]) -> bool:
    return environ.get("RAY_SERVE_ENABLE_DIRECT_INGRESS", "0") == "1"
