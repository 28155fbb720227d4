"""Changes of what was deployed: configurations, unwatched neighbours, Serve's target capacity.

Configurations are compared as the bytes of the answer, and decoded only when these change.
"""

from collections.abc import Iterable, Iterator

import msgspec

from probes.serve_state import KEPT_CONFIG, ServePayload
from scalelag.errors import TargetError
from scalelag.record.deployment_info import CapacityDirection, DeploymentInfo
from scalelag.record.effective import capacity_direction
from scalelag.record.rows import (
    CapacityChange,
    ConfigChange,
    DeploymentKey,
    NeighbourChange,
    Row,
)
from scalelag.record.secrets import without_secrets


class ConfigWatch:
    """Compares what each answer says was deployed with the one before."""

    def __init__(self, watched: frozenset[DeploymentKey] | None = None) -> None:
        self._watched = watched
        self._configs: dict[DeploymentKey, _KnownConfig] = {}
        self._neighbours: frozenset[DeploymentKey] = frozenset()
        self._capacity: float | None = None
        self._direction: CapacityDirection | None = None
        self._applications: frozenset[str] | None = None
        self._last_sent_s: float | None = None

    def watch(self, keys: frozenset[DeploymentKey]) -> None:
        """Watch other deployments from the next answer on."""
        self._watched = keys

    @property
    def latest(self) -> dict[DeploymentKey, DeploymentInfo]:
        """Settings in effect as the last answer showed them; a deployment that went keeps its last."""
        return {key: known.info for key, known in self._configs.items()}

    def rows(self, payload: ServePayload, sent_s: float, received_s: float) -> list[Row]:
        """Rows of what changed since the last answer, whose poll was sent earlier; none at first."""
        last_sent_s, self._last_sent_s = self._last_sent_s, sent_s
        lo_s = last_sent_s or 0.0
        self._turn(payload)
        rows = [
            *self._config_changes(payload, lo_s, received_s),
            *self._neighbour_changes(payload, lo_s, received_s),
            *self._capacity_change(payload, lo_s, received_s),
        ]
        return rows if last_sent_s is not None else []

    def resume(self, rows: Iterable[Row], sent_s: float) -> None:
        """Go on after `rows`, which another watch has made since the answer that was noted here.

        `sent_s` is the moment to which they reach. Of a setting whose value is not kept, a change since
        that answer may be named a second time.
        """
        self._last_sent_s = sent_s
        neighbours = set(self._neighbours)
        for row in sorted(rows, key=_moment):
            if isinstance(row, ConfigChange):
                self._recall(row)
            elif isinstance(row, CapacityChange):
                self._turned(row)
            elif isinstance(row, NeighbourChange):
                (neighbours.add if row.present else neighbours.discard)(row.deployment)
        self._neighbours = frozenset(neighbours)

    def _turned(self, row: CapacityChange) -> None:
        """Note which way the capacity went. Applications that came with it are not known."""
        self._capacity = row.after
        self._direction = capacity_direction(
            row.before, row.after, self._direction, same_applications=True
        )

    def _recall(self, row: ConfigChange) -> None:
        self._direction = row.info.capacity_direction
        known = self._configs.get(row.deployment)
        values = known.values if known else {}
        values = {name: value for name, value in values.items() if name not in KEPT_CONFIG}
        kept = row.info.config | {"autoscaling_config": row.info.autoscaling}
        self._configs[row.deployment] = _KnownConfig((), values | kept, row.info)

    def _config_changes(self, payload: ServePayload, lo_s: float, hi_s: float) -> Iterator[Row]:
        for key, raw in _raw_configs(payload).items():
            known = self._configs.get(key)
            if self._watched is not None and key not in self._watched:
                continue
            if known is not None and known.raw == raw:
                continue
            new = _read(payload, key, raw, self._direction)
            if new is None:
                continue
            self._configs[key] = new
            changed = () if known is None else _changed(known, new)
            if changed:
                yield ConfigChange(key, lo_s, hi_s, new.info, changed)

    def _turn(self, payload: ServePayload) -> None:
        """Note which way Serve goes to its capacity; unknown until that was seen to change."""
        before, self._applications = self._applications, frozenset(payload.applications)
        if before is None:
            return
        self._direction = capacity_direction(
            self._capacity,
            payload.capacity,
            self._direction,
            same_applications=before == self._applications or self._capacity == payload.capacity,
        )

    def _neighbour_changes(self, payload: ServePayload, lo_s: float, hi_s: float) -> Iterator[Row]:
        if self._watched is None:
            return
        applications = {payload.application_of(key) for key in self._watched}
        before, rebuilt = self._neighbours, payload.rebuilt
        shown = payload.deployments().keys() - self._watched
        hidden = {key for key in before if payload.application_of(key) in rebuilt}
        self._neighbours = frozenset(
            key for key in shown | hidden if payload.application_of(key) in applications
        )
        for key in sorted(before ^ self._neighbours):
            yield NeighbourChange(key, lo_s, hi_s, present=key in self._neighbours)

    def _capacity_change(self, payload: ServePayload, lo_s: float, hi_s: float) -> Iterator[Row]:
        before, self._capacity = self._capacity, payload.capacity
        if before != self._capacity:
            yield CapacityChange(lo_s, hi_s, before, self._capacity)


def _moment(row: Row) -> tuple[float, bool]:
    """Order of rows by time; what a configuration tells of the capacity counts, so it comes last."""
    return getattr(row, "hi_s", 0.0), isinstance(row, ConfigChange)


_Raw = tuple[bytes, ...]


class _KnownConfig(msgspec.Struct, frozen=True):
    """The last configuration of a deployment: its bytes, all its values, and what is kept of them."""

    raw: _Raw
    values: dict[str, object]
    info: DeploymentInfo


def _raw_configs(payload: ServePayload) -> dict[DeploymentKey, _Raw]:
    """Bytes of all that the settings in effect of each deployment are read from."""
    capacity = bytes(payload.target_capacity)
    return {
        f"{app_name}/{name}": (
            bytes(deployment.deployment_config),
            bytes(app.config),
            bytes(app.external_scaler_enabled),
            capacity,
        )
        for app_name, app in payload.applications.items()
        for name, deployment in app.deployments.items()
    }


def _read(
    payload: ServePayload,
    key: DeploymentKey,
    raw: _Raw,
    direction: CapacityDirection | None,
) -> _KnownConfig | None:
    """The configuration, decoded; None if it makes no sense, which is no reason to see nothing."""
    try:
        info = payload.infos([key])[key]
    except TargetError:
        return None
    values = msgspec.json.decode(raw[0], type=dict[str, object] | None) or {}
    kept = msgspec.structs.replace(info, target_replicas=None, capacity_direction=direction)
    return _KnownConfig(raw, values, kept)


_AROUND = ("app_policy", "target_capacity", "external_scaler", "placement_bundles")


def _changed(old: _KnownConfig, new: _KnownConfig) -> tuple[str, ...]:
    """Names of the settings that differ, in the deployment's own configuration and around it.

    The number of replicas is no setting of a deployment that scales: some versions of Ray put the
    autoscaler's target there.
    """
    names = old.values.keys() | new.values.keys()
    found = {name for name in names if not _is_same(old.values.get(name), new.values.get(name))}
    if old.info.autoscaling and new.info.autoscaling:
        found -= {"num_replicas"}
    found |= {name for name in _AROUND if getattr(old.info, name) != getattr(new.info, name)}
    return tuple(sorted(found))


def _is_same(old: object, new: object) -> bool:
    """Return whether a setting did not change; what came back from a record has no secrets in it."""
    return old == new or old == without_secrets(new)
