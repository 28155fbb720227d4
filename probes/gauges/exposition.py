"""Serve's gauges out of the text of a metrics port; everything else in it is passed over.

A port's text has thousands of lines of other metrics, and it is read in the load process. So lines
are chosen by their beginning, and only those are parsed (by prometheus_client).
"""

from collections.abc import Iterable, Iterator

import msgspec
from prometheus_client.parser import text_string_to_metric_families

PREFIX = "ray_serve_"
GAUGES: dict[str, str] = {
    "autoscaling_total_requests": "total",
    "autoscaling_desired_replicas": "desired",
    "autoscaling_target_replicas": "target",
    "deployment_queued_queries": "queued",
    "num_ongoing_requests_at_replicas": "running",
    "replica_processing_queries": "processing",
    "deployment_request_counter": "served_old",
    "deployment_request_counter_total": "served",
    "controller_num_control_loops": "loops",
}
"""Quantity by the name of a metric in Ray 2.10 to 2.60, without the prefix; no version has all.

Some versions export one counter by both of its names.
"""

_BEGINNINGS = tuple(f"{PREFIX}{name}{end}".encode() for name in GAUGES for end in "{ ")
_MOST_BYTES = 16 << 20
_MOST_LINES = 10_000
_LONGEST_LINE = 1 << 16
_PIECE = 100


class GaugesError(Exception):
    """The answer has no usable gauges; the message is a short reason."""


class Sample(msgspec.Struct, frozen=True):
    """One value of a `quantity` of GAUGES; `at_s` is its own time stamp, if it has one."""

    quantity: str
    labels: dict[str, str]
    value: float
    at_s: float | None = None

    @property
    def key(self) -> str:
        """Deployment as `app/Name`; empty if the labels do not name one."""
        app, name = self.labels.get("application"), self.labels.get("deployment")
        return f"{app}/{name}" if app and name else ""


def read_samples(pieces: Iterable[bytes]) -> list[Sample]:
    """Return Serve's gauges from the pieces of a port's answer.

    Raises GaugesError if the answer is no metrics, too large, or has a broken line among the gauges.
    """
    samples: list[Sample] = []
    chosen: list[str] = []
    count = 0
    for count, line in enumerate(_gauge_lines(pieces), start=1):
        if count > _MOST_LINES:
            raise GaugesError(f"it has more than {_MOST_LINES:,} of Serve's gauges")
        chosen.append(line)
        if len(chosen) == _PIECE:
            samples += _parsed(chosen)
            chosen = []
    return samples + _parsed(chosen)


def _gauge_lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Lines of Serve's gauges; the first line that is no comment must be a metric."""
    is_known = False
    for line in _lines(pieces):
        if line.startswith(_BEGINNINGS):
            is_known = True
            yield line.decode(errors="replace")
        elif not is_known and line.strip() and not line.startswith(b"#"):
            _parsed([line.decode(errors="replace")])
            is_known = True


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    read, rest = 0, b""
    for piece in pieces:
        read += len(piece)
        if read > _MOST_BYTES:
            raise GaugesError(f"its answer is larger than {_MOST_BYTES >> 20} MB")
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            raise GaugesError("its answer is no list of metrics")
        yield from lines
    if rest:
        yield rest


def _parsed(lines: list[str]) -> list[Sample]:
    text = "".join(f"{line.strip()}\n" for line in lines)
    try:
        found = [one for family in text_string_to_metric_families(text) for one in family.samples]
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise GaugesError("its answer is no list of metrics") from error
    return [
        Sample(quantity, dict(one.labels), float(one.value), _stamp(one.timestamp))
        for one in found
        if (quantity := GAUGES.get(one.name.removeprefix(PREFIX))) is not None
    ]


def _stamp(stamp: object) -> float | None:
    return None if stamp is None else float(str(stamp))
