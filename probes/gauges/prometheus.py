"""Reads the gauges from a Prometheus server that scrapes the cluster (`--prometheus URL`)."""

import math
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from statistics import median
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec

from probes.dashboard import VERSION_PATH, Dashboard, DashboardError
from probes.gauges.combine import gauges_of, without_controller
from probes.gauges.exposition import GAUGES, PREFIX, Sample
from probes.gauges.freshness import CONTROLLER_IS_OLD, Freshness
from scalelag.errors import UNREADABLE, TargetError
from scalelag.record.seen_rows import SeenRow

_PATH: Final = "/api/v1/query?query="
_WINDOW_S: Final = 180
_WHOLE_S: Final = 20.0
_MOST_BYTES: Final = 16 << 20
_SLACK: Final = 1.5
_NO_ANSWER: Final = "the answer makes no sense: is this a Prometheus server?"

_Pair = tuple[float, str]


class _Series(msgspec.Struct, frozen=True):
    metric: dict[str, str]
    values: list[_Pair]

    @property
    def spacing_s(self) -> float | None:
        """Usual time between two samples; None for a single one."""
        gaps = [b[0] - a[0] for a, b in pairwise(self.values)]
        return median(gaps) if gaps else None

    def latest(self) -> Sample | None:
        name = self.metric.get("__name__", "").removeprefix(PREFIX)
        if name not in GAUGES or not self.values:
            return None
        at_s, text = self.values[-1]
        try:
            return Sample(GAUGES[name], self.metric, float(text), at_s)
        except ValueError:
            return None


class _Matrix(msgspec.Struct, frozen=True):
    result: list[_Series] = []


class _Answer(msgspec.Struct, frozen=True):
    data: _Matrix


class _Scalar(msgspec.Struct, frozen=True):
    result: _Pair


class _Time(msgspec.Struct, frozen=True):
    data: _Scalar


class _Version(msgspec.Struct, frozen=True):
    session_name: str | None = None


def session_of(dashboard: Dashboard) -> str | None:
    """Name of the cluster's session, by which Ray labels its metrics; None if it does not tell."""
    try:
        return msgspec.json.decode(dashboard.get(VERSION_PATH).body, type=_Version).session_name
    except (TargetError, *UNREADABLE):
        return None


class PrometheusReader:
    """Reads the last sample of every series from the server's HTTP API; `server` is its client.

    `session` tells the name of the cluster's session, by which Ray labels its metrics: the server may
    know several clusters. Samples older than one and a half times their usual distance do not count.
    """

    def __init__(
        self,
        server: Dashboard,
        apps: Collection[str],
        now: Callable[[], float],
        export_s: float,
        session: Callable[[], str | None],
    ) -> None:
        self._server = server
        self._apps = apps
        self._now = now
        self._export_s = export_s
        self._find_session = session
        self._session: str | None = None
        self._fresh = Freshness(export_s)
        self._ahead_s: float | None = None
        self._latest_s = -math.inf
        self.cost_s = 0.0

    def read(self, stopped: Callable[[], bool]) -> Sequence[SeenRow]:
        """Read once: no row if the server has nothing new, one with the reason if it fails."""
        sent_s = self._now()
        if stopped():
            return []
        try:
            if self._ahead_s is None:
                self._session = self._find_session()
                self._ahead_s = self._measure_clock()
            found = _decoded(self._ask(_PATH + quote(self._query())), _Answer).data.result
        except TargetError as error:
            reason = error.reason if isinstance(error, DashboardError) else str(error)
            return [self._nothing(sent_s, f"Prometheus: {reason}")]
        samples = self._recent(found, sent_s + self._ahead_s)
        if not samples:
            return [
                self._nothing(sent_s, "Prometheus has no fresh gauge of the tested applications")
            ]
        return self._rows(samples, self._ahead_s)

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    def _query(self) -> str:
        names = "|".join(PREFIX + name for name in GAUGES)
        session = f",SessionName={_quoted(self._session)}" if self._session else ""
        return f'{{__name__=~"{names}"{session}}}[{_WINDOW_S}s]'

    def _recent(self, found: Sequence[_Series], now_s: float) -> list[Sample]:
        samples: list[Sample] = []
        for series in found:
            one = series.latest()
            spacing_s = max(series.spacing_s or 0.0, self._export_s)
            if one is not None and one.at_s is not None and now_s - one.at_s <= _SLACK * spacing_s:
                samples.append(one)
        return samples

    def _rows(self, samples: Sequence[Sample], ahead_s: float) -> list[SeenRow]:
        times_s = [one.at_s for one in samples if one.at_s is not None]
        newest_s, oldest_s = max(times_s), min(times_s)
        if newest_s <= self._latest_s:
            return []
        self._latest_s = newest_s
        at_s = newest_s - ahead_s
        since_s = self._fresh.note(samples, at_s)
        reason = CONTROLLER_IS_OLD if self._fresh.is_old(since_s) else None
        deployments = gauges_of(
            without_controller(samples) if reason else samples,
            self._apps,
            self._fresh.live_workers(at_s),
            is_whole=True,
        )
        if not deployments:
            reason = reason or "Prometheus has no gauge of the tested applications"
        age_s = self._export_s + max(since_s, newest_s - oldest_s)
        return [SeenRow(at_s, self._now(), "prometheus", age_s, deployments, reason)]

    def _nothing(self, sent_s: float, reason: str) -> SeenRow:
        return SeenRow(sent_s, self._now(), "prometheus", self._export_s, reason=reason)

    def _measure_clock(self) -> float:
        """Seconds that the server's clock is ahead of ours."""
        sent_s = self._now()
        told_s = _decoded(self._ask(f"{_PATH}time()"), _Time).data.result[0]
        return told_s - (sent_s + self._now()) / 2

    def _ask(self, path: str) -> bytes:
        body = b""
        asked_s = self._now()
        with self._server.stream(path, within_s=_WHOLE_S) as pieces:
            for piece in pieces:
                body += piece
                if len(body) > _MOST_BYTES:
                    raise TargetError(f"its answer is larger than {_MOST_BYTES >> 20} MB")
        self.cost_s = self._now() - asked_s
        return body


_T = TypeVar("_T")


def _decoded(body: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE as error:
        raise TargetError(_NO_ANSWER) from error


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
