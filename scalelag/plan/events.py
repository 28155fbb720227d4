"""Events of a run: the grammar of `--event`. An event is a step that is not load (docs/events.md).

An event reads `TIME: ACTION`, such as `60s: kill 2 replicas of app/D`. Times are seconds after the
start of the plan.
"""

import difflib
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from scalelag.errors import UsageError
from scalelag.plan.stages import MAX_DURATION_S
from scalelag.wording import count

EventKind = Literal[
    "kill_replicas", "kill_node", "kill_controller", "kill_proxy", "deploy", "scale", "delete"
]
KILLS: Final[frozenset[EventKind]] = frozenset(
    {"kill_replicas", "kill_node", "kill_controller", "kill_proxy"}
)

MOST_EVENTS: Final = 100
_MOST_REPLICAS = 100_000
_MOST_TEXT = 500
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_TIME = re.compile(r"\s*(?P<number>\d+(?:\.\d*)?|\.\d+)\s*(?P<unit>[a-zA-Z]*)\s*:\s*(?P<action>.*)")
_ACTIONS: Final[tuple[tuple[EventKind, str, str], ...]] = (
    (
        "kill_replicas",
        r"kill\s+(?:(?P<count>\d+|a)\s+)?replicas?\s+of\s+(?P<name>.+)",
        "kill 2 replicas of app/Deployment",
    ),
    ("kill_node", r"kill\s+(?:a\s+)?node\s+of\s+(?P<name>.+)", "kill node of app/Deployment"),
    ("kill_controller", r"kill\s+(?:the\s+)?controller", "kill controller"),
    ("kill_proxy", r"kill\s+(?:the\s+)?proxy", "kill proxy"),
    ("deploy", r"deploy\s+(?P<name>.+)", "deploy new.yaml"),
    ("scale", r"scale\s+(?P<name>.+?)\s+to\s+(?P<count>\d+)", "scale app/Deployment to 8"),
    ("delete", r"delete\s+(?P<name>.+)", "delete app"),
)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_FORMS = ", ".join(f'"{form}"' for _, _, form in _ACTIONS)


class PlannedEvent(msgspec.Struct, frozen=True):
    """An event as it was asked for: `text` is its action.

    `name` is that of a deployment, of an application (`delete`), or of a Serve config file (`deploy`).
    `count` is the number of replicas to kill, or to have (`scale`).
    """

    text: str
    at_s: float
    kind: EventKind
    name: str | None = None
    count: int | None = None

    @property
    def kills(self) -> bool:
        """Return whether a job on the cluster has to do it: no HTTP call ends a process."""
        return self.kind in KILLS

    @property
    def of_deployment(self) -> bool:
        """Return whether `name` is that of a deployment."""
        return self.kind in ("kill_replicas", "kill_node", "scale")

    @property
    def of_applications(self) -> bool:
        """Return whether it puts another document of all applications to Serve."""
        return self.kind in ("deploy", "delete")

    @property
    def what(self) -> str:
        """Words for people that say what it does."""
        replicas = count(self.count or 0, "replica")
        return {
            "kill_replicas": f"kills {replicas} of {self.name}",
            "kill_node": f"kills a node with replicas of {self.name}, and all that runs on it",
            "kill_controller": "kills the Serve controller, which Ray starts again",
            "kill_proxy": "kills Serve's proxy on one node, which Serve starts again",
            "deploy": f"deploys {self.name}, in place of what has the names of its applications",
            "scale": f"sets the target of {self.name} to {replicas}",
            "delete": f"deletes the application {self.name}",
        }[self.kind]


def parse_event(text: str) -> PlannedEvent:
    """Return the event that `text` describes. Raises UsageError with the part and the reason."""
    if len(text) > _MOST_TEXT:
        raise UsageError(f'"{text[:60]}...": an event has {_MOST_TEXT} characters at most')
    timed = _TIME.fullmatch(text.strip())
    if timed is None:
        raise UsageError(f'"{text}": an event reads TIME: ACTION, such as "60s: kill controller"')
    action = timed["action"].strip()
    if timed["unit"] not in _SECONDS:
        raise UsageError(f'"{text}": unknown unit of time "{timed["unit"]}"; use ms, s, m or h')
    at_s = float(timed["number"]) * _SECONDS[timed["unit"]]
    if at_s > MAX_DURATION_S:
        raise UsageError(f'"{text}": no run lasts that long; give the time after its start')
    for kind, pattern, _ in _ACTIONS:
        match = re.fullmatch(pattern, action)
        if match is not None:
            found = match.groupdict()
            name, asked = found.get("name"), found.get("count")
            return _event(text, PlannedEvent(action, at_s, kind, name), asked)
    raise UsageError(f'"{text}": "{action}" is no action; write {_FORMS}')


def _event(text: str, event: PlannedEvent, asked: str | None) -> PlannedEvent:
    """`event` with its number and its name as it is meant. Raises UsageError for one that cannot be."""
    number = int(asked) if asked and asked.isdecimal() else 1
    if event.kind == "kill_replicas" and number == 0:
        raise UsageError(f'"{text}": 0 replicas are none; kill 1 or more')
    if number > _MOST_REPLICAS:
        raise UsageError(f'"{text}": {number:,} is more than {_MOST_REPLICAS:,} replicas')
    name = None if event.name is None else unquoted(event.name.strip())
    if name == "" or (name is not None and "\0" in name):
        raise UsageError(f'"{text}": the name in it is empty, or no name; write {_FORMS}')
    counted = event.kind in ("kill_replicas", "scale")
    return PlannedEvent(event.text, event.at_s, event.kind, name, number if counted else None)


def unquoted(name: str) -> str:
    """Return a name without the double quotes that it may stand in, as in gates.

    Raises UsageError for a quote that begins a name and is not closed at its end.
    """
    if name.startswith('"') and not _QUOTED.fullmatch(name):
        raise UsageError(f"{name}: the quote that it begins with is not closed at its end")
    if name.startswith('"'):
        return re.sub(r"\\(.)", r"\1", name[1:-1])
    return name


def below(text: str, folder: Path) -> str:
    """Return the event `text` with the file that it names counted from `folder`, if it names one."""
    timed = _TIME.fullmatch(text.strip())
    match = timed and re.fullmatch(r"deploy\s+(.+)", timed["action"].strip())
    if timed is None or match is None:
        return text
    head = text.strip()[: timed.start("action")]
    return f"{head}deploy {folder / unquoted(match[1])}"


def check_events(events: Sequence[PlannedEvent], duration_s: float | None) -> None:
    """Raise UsageError for events that a plan of `duration_s` does not reach, None if it is unknown."""
    if len(events) > MOST_EVENTS:
        raise UsageError(f"--event is given {count(len(events), 'time')}, more than {MOST_EVENTS}.")
    for event in events:
        if duration_s is not None and event.at_s >= duration_s:
            raise UsageError(
                f'--event "{event.at_s:g}s: {event.text}": the load plan is over after '
                f"{duration_s:g} s. Give an earlier time, or a longer plan."
            )


def check_allowed(events: Sequence[PlannedEvent], *, ours: bool, allowed: bool) -> None:
    """Raise UsageError for events on a cluster that is not ours, unless they are `allowed`."""
    if events and not (ours or allowed):
        listed = "; ".join(f"at {event.at_s:g} s it {event.what}" for event in events)
        raise UsageError(
            f"--event changes a cluster that this command did not start: {listed}. If that is meant, "
            "give --allow-faults."
        )


class KnownNames(NamedTuple):
    """Names of the deployments and applications that are there by then."""

    deployments: Collection[str]
    applications: Collection[str]


def resolved(event: PlannedEvent, known: KnownNames) -> PlannedEvent:
    """The event with the full name of what it is on.

    Raises UsageError for a deployment or an application that is not `known`.
    """
    if event.name is None or event.kind == "deploy":
        return event
    names = known.deployments if event.of_deployment else known.applications
    if event.name in names:
        return event
    fits = [key for key in sorted(names) if event.of_deployment and key.endswith(f"/{event.name}")]
    if len(fits) == 1:
        return msgspec.structs.replace(event, name=fits[0])
    what = "deployment" if event.of_deployment else "application"
    if fits:
        reason = f'several deployments are called "{event.name}": name one of {", ".join(fits)}'
    else:
        near = difflib.get_close_matches(event.name, list(names), n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "name one of those watched:"
        listed = "" if near else f" {', '.join(sorted(names)[:10]) or 'none'}"
        reason = f'there is no watched {what} "{event.name}"; {hint}{listed}'
    raise UsageError(f'--event "{event.at_s:g}s: {event.text}": {reason}')
