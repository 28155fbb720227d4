"""Names of metrics that a run cannot have, found before its load, or in finished runs."""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from reports.analysis import metrics
from reports.analysis.gates import Gate, unwatched
from scalelag.errors import UsageError
from scalelag.record.error_kinds import meant_by

_MOST_TOLD = 10


class ExpectedParts(msgspec.Struct, frozen=True):
    """Parts that a run has or will have, for metrics to name; None is what is not known of it.

    `steps` are the numbers of the plan's steps, and `load_steps` those of them in which requests are
    sent, each with the names of these: None if a locustfile gives them. `requests` are all names.
    `errors` are the kinds that occurred. `whose` are the words for what has the steps.
    """

    watched: Collection[str] | None = None
    steps: Collection[int] | None = None
    load_steps: Mapping[int, Collection[str] | None] | None = None
    requests: Collection[str] | None = None
    applications: Collection[str] | None = None
    events: Collection[int] | None = None
    has_limits: bool = True
    workers: Collection[int] | None = None
    windows: Collection[int] | None = None
    nodes: Collection[str] | None = None
    errors: Collection[str] | None = None
    whose: str = "the plan has"


class _NamedParts(msgspec.Struct, frozen=True):
    """Parts of a run that a metric names; None for those that it does not, or if it names all."""

    step: int | None = None
    request: str | None = None
    application: str | None = None
    event: int | None = None
    of_event: bool = False
    of_load: bool = False
    of_goodput: bool = False
    worker: int | None = None
    window: int | None = None
    deployment: str | None = None
    node: str | None = None
    error: str | None = None


def check_gates(gates: Iterable[Gate], expected: ExpectedParts) -> None:
    """Raise UsageError for a gate on something that the run will not have."""
    for gate in gates:
        for reason in missing(gate.wanted, expected):
            raise UsageError(f'The gate "{gate.expr}" {reason}.')


def known_after_the_load(gates: Iterable[Gate], expected: ExpectedParts) -> Iterator[str]:
    """Words on each gate whose request is known only once it was sent."""
    for gate in gates:
        name = _named(gate.wanted.path).request
        if name is not None and expected.requests is None:
            yield (
                f'the gate "{gate.expr}" names the request "{name}". Which requests users send is '
                "known after the load only: if none has this name, the gate is inconclusive."
            )


def missing(wanted: metrics.MetricName, expected: ExpectedParts) -> Iterator[str]:
    """Words on what a metric names and the run does not have, the nearest names first."""
    named = _named(wanted.path)
    watched = expected.watched
    if wanted.deployment and watched is not None and not _is_any(watched, wanted.deployment):
        yield f"names {unwatched(watched)}"
    yield from _missing_step(named, expected)
    yield from _missing_request(named, expected)
    yield from _missing_event(named, expected)
    for word, name, known in (
        ("application", named.application, expected.applications),
        ("deployment", named.deployment, watched),
        ("node", named.node, expected.nodes),
    ):
        if not _is_among(name, known):
            yield f"names the {word} {name}; there is {_told(known or (), str(name))}"
    for word, number, numbers in (
        ("load process", named.worker, expected.workers),
        ("window", named.window, expected.windows),
    ):
        if not _is_among(number, numbers):
            yield f"names {word} {number}; {_there(numbers or (), word)}"
    if named.error is not None and (near := meant_by(named.error, expected.errors or ())):
        yield f'names the error "{named.error}"; there is {_told(near, named.error)}'
    if named.of_goodput and not expected.has_limits:
        yield 'is on goodput, which needs limits: give --slo, such as --slo "p95<2s"'


def _missing_event(named: _NamedParts, expected: ExpectedParts) -> Iterator[str]:
    if named.of_event and expected.events is not None and not expected.events:
        yield "asks for an event; the run has none, see --event"
    elif not _is_among(named.event, expected.events):
        yield f"names event {named.event}; {_there(expected.events or (), 'event')}"


def _is_any(watched: Collection[str], wanted: str) -> bool:
    return any(metrics.is_named(key, wanted) for key in watched)


def _missing_step(named: _NamedParts, expected: ExpectedParts) -> Iterator[str]:
    steps = expected.load_steps if named.of_load else expected.steps
    if not _is_among(named.step, steps):
        load = " in which requests are sent" if named.of_load else ""
        there = _numbers(steps or (), "step")
        yield f"names step {named.step}; {expected.whose} {there}{load}"


def _missing_request(named: _NamedParts, expected: ExpectedParts) -> Iterator[str]:
    if not _is_among(named.request, expected.requests):
        there = _told(expected.requests or (), named.request or "")
        yield f"names the request {named.request}; there is {there}"
    elif named.step is not None and expected.load_steps is not None:
        sent = expected.load_steps.get(named.step)
        if not _is_among(named.request, sent):
            yield (
                f"names the request {named.request} in step {named.step}, in which the mix sends "
                f"only {_told(sent or (), named.request or '')}"
            )


def _is_among(wanted: object, known: Collection[object] | None) -> bool:
    return wanted is None or known is None or wanted in known


def _named(path: metrics.Path) -> _NamedParts:
    """Return what a metric names, by its place in the report."""
    if path[0] == "event":
        deployment = _one(path[3]) if path[2] == "deployments" else None
        return _NamedParts(event=_number(path[1]), of_event=True, deployment=deployment)
    if path[:2] == ("evidence", "node_error_s"):
        return _NamedParts(node=_one(path[2]))
    if path[0] not in ("load", "requests"):
        return _NamedParts(step=_number(path[1]) if path[0] == "steps" else None)
    in_step = path[1] == "steps"
    kind, *rest = path[3:] if in_step else path[1:]
    name = _one(rest[0]) if rest else None
    return _NamedParts(
        step=_number(path[2]) if in_step else None,
        request=name if kind == "names" else None,
        application=name if kind == "applications" else None,
        worker=_number(name) if kind == "workers" else None,
        window=_number(name) if kind == "windows" else None,
        error=name if kind == "errors" else None,
        of_load=in_step,
        of_goodput=kind == "goodput",
    )


def _one(part: str) -> str | None:
    return None if part == metrics.ALL else part


def _number(part: str | None) -> int | None:
    return int(part) if part and part != metrics.ALL else None


def _numbers(known: Collection[int], one: str) -> str:
    """Return `the steps 0 to 3`, `the steps 0, 2`, `step 0`, or `no step`."""
    if not known:
        return f"no {one}"
    if len(known) == 1:
        return f"{one} {min(known)}"
    many = f"{one}es" if one.endswith("s") else f"{one}s"
    if max(known) - min(known) >= len(known):
        return f"the {many} {', '.join(map(str, sorted(known)))}"
    return f"the {many} {min(known)} to {max(known)}"


def _there(known: Collection[int], one: str) -> str:
    return f"there {'are' if len(known) > 1 else 'is'} {_numbers(known, one)}"


def _told(names: Collection[str], wanted: str) -> str:
    """Return some of the names, those that are most like the `wanted` one first."""
    near = difflib.get_close_matches(wanted, names, n=_MOST_TOLD)
    ordered = list(dict.fromkeys([*near, *names]))
    more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
    return f"{', '.join(ordered[:_MOST_TOLD])}{more}" or "none"
