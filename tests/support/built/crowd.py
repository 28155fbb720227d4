"""A record of twelve applications that all grow from one replica to many and back, in a folder."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from scalelag.record.application_info import ApplicationInfo
from scalelag.record.evidence_rows import LogEvent
from scalelag.record.requests_file import RequestColumns, RequestWriter
from scalelag.record.rows import DeploymentPoll, Poll, Transition
from scalelag.record.run_dir import load_run

STORED: Final = Path(__file__).parents[2] / "golden" / "stored" / "demo"
APPS: Final = 12
NODES: Final = 128
_POLL_S = 1.0
_ENDS_S = 82.0
_REQUESTS = 24_000


class Life(msgspec.Struct, frozen=True):
    """A replica from when it was listed to when it was gone, in seconds after the plan's start."""

    deployment: str
    name: str
    node: str
    moments_s: tuple[float, float, float, float]
    states = ("STARTING", "RUNNING", "STOPPING", None)


def write_crowd(run: Path, replicas: int) -> None:
    """Write a record in which each application grows to `replicas` replicas."""
    shutil.copytree(STORED, run)
    info = load_run(STORED).info
    (described,) = info.target.deployments.values()
    described = msgspec.structs.replace(
        described, autoscaling={**(described.autoscaling or {}), "max_replicas": replicas}
    )
    keys = [f"app{number:02d}/Model" for number in range(APPS)]
    target = msgspec.structs.replace(
        info.target,
        deployments=dict.fromkeys(keys, described),
        watched=tuple(keys),
        applications={
            key.partition("/")[0]: ApplicationInfo((key,), f"/{key.partition('/')[0]}", key)
            for key in keys
        },
    )
    info = msgspec.structs.replace(info, target=target, planned_requests=_REQUESTS)
    (run / "run.json").write_bytes(msgspec.json.encode(info))
    lives = [life for number, key in enumerate(keys) for life in _lives(key, number, replicas)]
    rows = sorted(_rows(lives, keys, replicas, info.zero_s), key=lambda row: row[0])
    _write(run / "replicas.jsonl", [row for _, row in rows])
    events = sorted(_events(lives, keys, replicas, info.zero_s), key=lambda event: event.at_s)
    _write(run / "evidence.jsonl", events)
    _write_requests(run / "requests.arrow", info.zero_s)


def _lives(key: str, number: int, replicas: int) -> Iterator[Life]:
    yield Life(key, f"{number:02d}first0", _node(0), (-5.0, -4.0, np.inf, np.inf))
    for each in range(1, replicas):
        share = each / replicas
        begun_s = 13.0 + 0.1 * number + 3.0 * share
        stop_s = 38.0 + 0.1 * number
        moments_s = (begun_s, begun_s + 2.0 + 4.0 * share, stop_s, stop_s + 2.0 + 3.0 * share)
        yield Life(key, f"{number:02d}x{each:05d}", _node(each), moments_s)


def _node(each: int) -> str:
    return f"{each % NODES:056x}"


def _rows(
    lives: list[Life], keys: list[str], replicas: int, zero_s: float
) -> Iterator[tuple[float, object]]:
    """Transitions as the polls saw them, and the polls with their counts."""
    polls_s = np.arange(-2.0, _ENDS_S, _POLL_S)
    counts = {key: np.zeros((3, polls_s.size), int) for key in keys}
    for life in lives:
        before = None
        seen = np.searchsorted(polls_s, life.moments_s)
        for place, (state, look) in enumerate(zip(Life.states, seen.tolist(), strict=True)):
            if look == polls_s.size:
                break
            if place < 3:
                counts[life.deployment][place, look : seen[place + 1]] += 1
            hi_s = zero_s + float(polls_s[look])
            first = look == 0
            if not first or state == "RUNNING":
                yield (
                    hi_s,
                    Transition(
                        deployment=life.deployment,
                        replica=life.name,
                        hi_s=hi_s,
                        lo_s=None if first else hi_s - _POLL_S,
                        from_state=None if first else before,
                        to_state=state,
                        node=life.node,
                    ),
                )
            before = state
    for look, at_s in enumerate(polls_s.tolist()):
        deployments = {
            key: DeploymentPoll(
                {
                    name: int(number)
                    for name, number in zip(Life.states[:3], of[:, look], strict=True)
                    if number
                },
                replicas if 13 <= at_s < 38 else 1,
                "HEALTHY",
            )
            for key, of in counts.items()
        }
        yield zero_s + at_s, Poll(zero_s + at_s - 0.05, zero_s + at_s, 200, deployments)


def _events(lives: list[Life], keys: list[str], replicas: int, zero_s: float) -> Iterator[LogEvent]:
    """Lines of the controller about decisions and about each replica."""
    for number, key in enumerate(keys):
        for kind, at_s, before, after in (
            ("upscaling", 12.9, 1, replicas),
            ("downscaling", 37.9, replicas, 1),
        ):
            yield LogEvent(
                kind,
                zero_s + at_s + 0.1 * number,
                0.005,
                _node(0),
                f"{kind} {key}",
                key,
                before=before,
                after=after,
                ongoing=2.0 * after,
            )
    for life in lives:
        kinds = ("starting", "started", "stopping", "stopped")
        for kind, at_s in zip(kinds, life.moments_s, strict=True):
            if np.isfinite(at_s):
                raw = f"INFO 2026-11-25 20:14:28,502 controller 30678 -- {kind} {life.name}."
                yield LogEvent(
                    kind, zero_s + at_s, 0.005, _node(0), raw, life.deployment, life.name
                )


def _write(path: Path, rows: Sequence[object]) -> None:
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def _write_requests(path: Path, zero_s: float) -> None:
    random = np.random.default_rng(1)
    writer = RequestWriter(path)
    writer.append(
        RequestColumns(
            intended_s=zero_s + np.linspace(0.0, 50.0, _REQUESTS, endpoint=False),
            send_lag_s=np.full(_REQUESTS, 0.001, np.float32),
            latency_s=random.lognormal(-3.0, 0.5, _REQUESTS).astype(np.float32),
            status=np.full(_REQUESTS, 200, np.uint16),
            name=(np.arange(_REQUESTS) % APPS).astype(np.int32),
            error=np.full(_REQUESTS, -1, np.int32),
            worker=np.zeros(_REQUESTS, np.uint16),
            names=tuple(f"/app{number:02d}" for number in range(APPS)),
            errors=(),
            methods=("GET",) * APPS,
        )
    )
    writer.close()
