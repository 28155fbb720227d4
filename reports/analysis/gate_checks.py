"""Gates that a run cannot answer, found before its load."""

from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from reports.analysis import metrics
from reports.analysis.gates import Gate, unwatched
from scalelag.errors import UsageError

_MOST_TOLD = 10


class Expected(msgspec.Struct, frozen=True):
    """Parts that a run will have, for gates to name; None is what is not known before its load.

    `steps` are the numbers of the plan's steps, and `load_steps` those of them in which requests are
    sent, each with the names of these: None if a locustfile gives them. `requests` are all names.
    """

    watched: Collection[str] | None = None
    steps: Collection[int] | None = None
    load_steps: Mapping[int, Collection[str] | None] | None = None
    requests: Collection[str] | None = None
    applications: Collection[str] | None = None
    events: Collection[int] | None = None
    has_limits: bool = True


class _Named(msgspec.Struct, frozen=True):
    """Parts of a run that a metric names; None for those that it does not, or if it names all."""

    step: int | None = None
    request: str | None = None
    application: str | None = None
    event: int | None = None
    of_event: bool = False
    of_load: bool = False
    of_goodput: bool = False


def check_gates(gates: Iterable[Gate], expected: Expected) -> None:
    """Raise UsageError for a gate on something that the run will not have."""
    for gate in gates:
        for reason in _missing(gate, expected):
            raise UsageError(f'The gate "{gate.expr}" {reason}.')


def known_after_the_load(gates: Iterable[Gate], expected: Expected) -> Iterator[str]:
    """Words on each gate whose request is known only once it was sent."""
    for gate in gates:
        name = _named(gate.wanted.path).request
        if name is not None and expected.requests is None:
            yield (
                f'the gate "{gate.expr}" names the request "{name}". Which requests users send is '
                "known after the load only: if none has this name, the gate is inconclusive."
            )


def _missing(gate: Gate, expected: Expected) -> Iterator[str]:
    """Words on what `gate` names and the run will not have."""
    named = _named(gate.wanted.path)
    wanted, watched = gate.wanted.deployment, expected.watched
    if wanted is not None and watched is not None and not _is_any(watched, wanted):
        yield f"names {unwatched(watched)}"
    yield from _missing_step(named, expected)
    yield from _missing_request(named, expected)
    if not _is_among(named.application, expected.applications):
        yield (
            f"names the application {named.application}; there is "
            f"{_told(expected.applications or ())}"
        )
    if named.of_event and expected.events is not None and not expected.events:
        yield "asks for an event; the run has none, see --event"
    elif not _is_among(named.event, expected.events):
        yield f"names event {named.event}; there is {_numbers(expected.events or (), 'event')}"
    if named.of_goodput and not expected.has_limits:
        yield 'is on goodput, which needs limits: give --slo, such as --slo "p95<2s"'


def _is_any(watched: Collection[str], wanted: str) -> bool:
    return any(metrics.is_named(key, wanted) for key in watched)


def _missing_step(named: _Named, expected: Expected) -> Iterator[str]:
    steps = expected.load_steps if named.of_load else expected.steps
    if not _is_among(named.step, steps):
        load = " in which requests are sent" if named.of_load else ""
        yield f"names step {named.step}; the plan has the {_numbers(steps or (), 'step')}{load}"


def _missing_request(named: _Named, expected: Expected) -> Iterator[str]:
    if not _is_among(named.request, expected.requests):
        yield f"names the request {named.request}; there is {_told(expected.requests or ())}"
    elif named.step is not None and expected.load_steps is not None:
        sent = expected.load_steps.get(named.step)
        if not _is_among(named.request, sent):
            yield (
                f"names the request {named.request} in step {named.step}, in which the mix sends "
                f"only {_told(sent or ())}"
            )


def _is_among(wanted: object, known: Collection[object] | None) -> bool:
    return wanted is None or known is None or wanted in known


def _named(path: metrics.Path) -> _Named:
    """Return what a metric names, by its place in the report."""
    if path[0] == "event":
        return _Named(event=_number(path[1]), of_event=True)
    if path[0] not in ("load", "requests"):
        return _Named(step=_number(path[1]) if path[0] == "steps" else None)
    in_step = path[1] == "steps"
    part = list(path[3:] if in_step else path[1:])
    name = next((one for one in part[1:2] if one != metrics.ALL), None)
    return _Named(
        step=_number(path[2]) if in_step else None,
        request=name if part[0] == "names" else None,
        application=name if part[0] == "applications" else None,
        of_load=in_step,
        of_goodput=part[0] == "goodput",
    )


def _number(part: str) -> int | None:
    return int(part) if part.isdecimal() else None


def _numbers(known: Collection[int], one: str) -> str:
    """`steps 0 to 3`, `steps 0, 2`, `step 0`, `no step`."""
    if not known:
        return f"no {one}"
    if len(known) == 1:
        return f"{one} {min(known)}"
    if max(known) - min(known) >= len(known):
        return f"{one}s {_told(list(map(str, sorted(known))))}"
    return f"{one}s {min(known)} to {max(known)}"


def _told(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:_MOST_TOLD])
    more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
    return f"{shown}{more}" or "none"
