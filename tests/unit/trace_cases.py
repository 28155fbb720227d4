"""Traces as text, and a reader of them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from scalelag.errors import UsageError
from scalelag.plan.trace import Trace, TraceSpec, read_trace

Read = Callable[..., Trace]
ZERO = datetime(2023, 11, 16, 18, 17, 3, tzinfo=UTC)


def reader(folder: Path) -> Read:
    """Function that reads a text as a trace, from a file in `folder`."""

    def read(text: str | bytes, name: str = "trace.csv", **options: Any) -> Trace:
        path = folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_trace(TraceSpec(str(path), **options))

    return read


def refusal(read: Read, folder: Path, text: str | bytes, **options: Any) -> str:
    """Message with which a text is refused, without the folder."""
    with pytest.raises(UsageError) as caught:
        read(text, **options)
    return str(caught.value).replace(f"{folder}/", "")


def lines(*rows: object) -> str:
    return "".join(f"{row}\n" for row in rows)


def iso(ms: int, zone: timezone = UTC, between: str = "T", digits: int = 3) -> str:
    at = (ZERO + timedelta(milliseconds=ms)).astimezone(zone)
    fraction = f"{ms % 1000:03d}".ljust(digits, "0")
    return at.strftime(f"%Y-%m-%d{between}%H:%M:%S.") + fraction


LOCUST = (
    "Timestamp,User Count,Type,Name,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,"
    "99.99%,100%,Total Request Count,Total Failure Count,Total Median Response Time,"
    "Total Average Response Time,Total Min Response Time,Total Max Response Time,"
    "Total Average Content Size"
)


def history(counts: Sequence[int], *, full: bool = False) -> str:
    """A row a second, as Locust writes it, with N/A until there are answers."""
    rows: list[str] = []
    for second, count in enumerate(counts):
        shown = "N/A" if not count else "12"
        tail = ",".join([shown] * 11)
        for kind, name in (*([("GET", "/a")] if full else []), ("", "Aggregated")):
            rps = count / (second + 1)
            head = f"{1_700_000_000 + second},5,{kind},{name},{rps:.6f},0.000000"
            rows.append(f"{head},{tail},{count},0,1,1,1,1,9")
    return lines(LOCUST, *rows)
