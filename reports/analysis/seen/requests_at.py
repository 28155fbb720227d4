"""Open requests of each deployment: the client's own, or as Serve's gauges show them."""

from collections.abc import Iterable
from itertools import pairwise
from statistics import median
from typing import Literal

import msgspec

from reports.analysis.load.concurrency import Concurrency
from reports.analysis.load.open_requests import OpenRequests
from reports.analysis.seen.routing import perhaps_for, routed
from reports.analysis.seen.series import GaugeSeries, gauge_series, longest_hold_s, total_series
from scalelag.record.application_info import ApplicationInfo, application_name
from scalelag.record.requests_file import RequestColumns
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun
from scalelag.wording import count

Whose = Literal["client", "seen"]

_LEAST_SEEN = 0.5
_NO_TOPOLOGY = "which requests were for this deployment of several cannot be told"


class RequestsAt(msgspec.Struct, frozen=True):
    """Open requests of one deployment over time.

    `given` is what its policy was given, `open` what was open at it. Both are the client's own
    (`whose`) if every request of the client goes to this deployment. None for `reason`. `client`
    are the client's open requests for its application, if known. `rows` may have been for that
    application: no route gives them to another one.
    """

    given: OpenRequests | None = None
    open: OpenRequests | None = None
    whose: Whose | None = None
    client: Concurrency | None = None
    reason: str | None = None
    rows: RequestColumns | None = None


def application_of(run: RecordedRun, key: DeploymentKey) -> ApplicationInfo | None:
    """Application that `key` belongs to; None in records without applications."""
    known = run.info.target.applications
    return known.get(application_name(key, known))


def all_requests_at(
    run: RecordedRun, keys: Iterable[DeploymentKey], whole: Concurrency
) -> dict[DeploymentKey, RequestsAt]:
    """Return the open requests of each of `keys`, with the rows that its application may have had."""
    apps = {key: application_name(key, run.info.target.applications) for key in keys}
    rows = {app: perhaps_for(run.requests, run.info, app) for app in dict.fromkeys(apps.values())}
    return {
        key: msgspec.structs.replace(requests_at(run, key, whole), rows=rows[app])
        for key, app in apps.items()
    }


def requests_at(run: RecordedRun, key: DeploymentKey, whole: Concurrency) -> RequestsAt:
    """Return the open requests of `key`; `whole` are those of all of the run's requests.

    The only deployment of its application takes the client's own. One among several takes Serve's
    gauges; without them the ingress takes the client's, and another one nothing
    (docs/metrics.md#what-the-autoscaler-saw).
    """
    client, why = _client(run, key, whole)
    app = application_of(run, key)
    is_alone = len(app.deployments if app else run.info.target.watched) == 1
    if is_alone and client is not None:
        return RequestsAt(client, client, "client", client)
    seen = _seen(run, key)
    if seen is not None:
        return RequestsAt(*seen, "seen", client)
    is_ingress = app is not None and app.ingress == key
    is_untold = app is None or app.ingress is None
    is_chosen = is_untold and run.info.target.watched == (key,)
    if client is not None and (is_ingress or is_chosen):
        return RequestsAt(client, client, "client", client)
    told = why if is_alone or is_ingress else (app and app.reason) or _NO_TOPOLOGY
    return RequestsAt(client=client, reason=f"{told}; {unseen_reason(run)}")


def unseen_reason(run: RecordedRun) -> str:
    """Reason why Serve's gauges are not known, or not of enough of the load."""
    reasons = [row.reason for row in run.seen if row.reason]
    if reasons:
        return f"Serve's gauges: {max(reasons, key=reasons.count)}"
    if not run.seen:
        return "Serve's gauges were not read"
    return _too_seldom(run) or "Serve's gauges have nothing of it"


def _too_seldom(run: RecordedRun) -> str | None:
    """Reason for too few readings; None if they came so often that each held until the next."""
    gaps_s = [after.sent_s - before.sent_s for before, after in pairwise(run.seen)]
    apart_s = median(gaps_s) if gaps_s else run.info.plan.duration_s
    if apart_s <= longest_hold_s(max(row.age_s for row in run.seen)):
        return None
    took_s = median(row.received_s - row.sent_s for row in run.seen)
    return (
        f"Serve's gauges were read {count(len(run.seen), 'time')} only: an answer took the nodes' "
        f"ports {took_s:.1f} s, and --observer-budget allows no more"
    )


def _client(
    run: RecordedRun, key: DeploymentKey, whole: Concurrency
) -> tuple[Concurrency | None, str | None]:
    rows = routed(run.requests, run.info, application_name(key, run.info.target.applications))
    if isinstance(rows, str):
        return None, rows
    return (whole if rows is run.requests else Concurrency(rows)), None


def _seen(run: RecordedRun, key: DeploymentKey) -> tuple[GaugeSeries, GaugeSeries] | None:
    """Requests given to the policy, and open ones, each by the other where it has no gauge."""
    total = total_series(run.seen, key)
    open_ = gauge_series(run.seen, key, lambda gauges: gauges.open)
    from_s = run.info.zero_s
    until_s = run.info.load_ended_s or run.info.zero_s + run.info.plan.duration_s
    known = [one for one in (total, open_) if one.covered_ratio(from_s, until_s) >= _LEAST_SEEN]
    if not known:
        return None
    given = total if total in known else open_
    return given, open_ if open_ in known else given
