"""A model behind a front of fixed size, for the rules on fronts and on blind autoscalers to look at."""

import msgspec
import numpy as np

from reports.analysis.diagnosis.front import Front
from reports.analysis.lag.policy import policy_of
from reports.analysis.lag.timeline import ReplicaPoll, Timeline
from reports.analysis.load.concurrency import Concurrency
from reports.analysis.seen.requests_at import RequestsAt
from reports.analysis.seen.series import GaugeSeries, Reading
from scalelag.record.run_info import DeploymentInfo
from scalelag.record.seen_rows import DeploymentGauges, SeenRow
from tests.support.built.step_facts import (
    BEGUN_S,
    ENDED_S,
    KEY,
    SETTINGS,
    facts,
    info,
    requests,
)

FRONT_KEY = "app/Front"
BEHIND = msgspec.structs.replace(info(), is_ingress=False)


def front_of(key, described, timeline) -> Front:
    most = described.config.get("max_ongoing_requests", 5)
    return Front(key, timeline, most, policy_of(described, "2.60.0"))


def watched(running: int, target: int | None = None, decisions=()) -> Timeline:
    """A deployment with so many RUNNING, polled every 0.5 s from the step on."""
    polls = tuple(
        ReplicaPoll(at_s - 0.01, at_s, running, running, target or running)
        for at_s in np.arange(BEGUN_S - 1, ENDED_S + 1, 0.5).tolist()
    )
    return Timeline(polls, tuple(decisions), ())


def a_front(running=1, most=10, autoscaled=False) -> Front:
    config = {"max_ongoing_requests": most}
    described = DeploymentInfo(dict(SETTINGS) if autoscaled else None, config, is_ingress=True)
    return front_of(FRONT_KEY, described, watched(running))


def opened(number: float) -> Concurrency:
    """So many requests are open all through the hold."""
    return Concurrency(requests(rate_rps=number / 2.0, latency_s=2.0))


def behind(number=40.0, front=None, target=1, running=1, **changed):
    """A model behind a front; its target does not move, and `number` requests are open."""
    given = {
        "deployment": BEHIND,
        "policy": policy_of(BEHIND),
        "requests_at": opened(number),
        "fronts": (front or a_front(),),
        "polls": (),
        "total_s": None,
        "ongoing": None,
        "replicas_after": running,
    }
    given |= changed
    client = given.pop("requests_at")
    made = facts(**given)
    at = RequestsAt(client, client, "client", client)
    return msgspec.structs.replace(made, timeline=watched(running, target), requests=at)


def open_there(number: float) -> RequestsAt:
    """So many requests are open at a deployment all through the hold, by Serve's gauges."""
    there = GaugeSeries([Reading(BEGUN_S, ENDED_S + 1, number)], 0.0)
    return RequestsAt(there, there, "seen")


def gauged(total: float, opened_there: float, **changed):
    """Readings of the gauges of the model, one a second all through the hold."""
    rows = tuple(
        SeenRow(at_s, at_s, "ports", 1.0, {KEY: DeploymentGauges(total=total)})
        for at_s in np.arange(BEGUN_S - 2, ENDED_S + 1, 1.0).tolist()
    )
    made = behind(40.0, seen=rows, **changed)
    there = Reading(BEGUN_S, ENDED_S + 1, opened_there)
    at = msgspec.structs.replace(made.requests, open=GaugeSeries([there], 0.0), whose="seen")
    return msgspec.structs.replace(made, requests=at)


def texts(finding):
    """Texts of the evidence of a finding."""
    return [evidence.text for evidence in finding.evidence]


def late_requests():
    """Requests that were quick before the step, and take 2 s after it."""
    quick = requests(rate_rps=5, latency_s=0.1)
    slow = requests(rate_rps=20, latency_s=2.0)
    return msgspec.structs.replace(
        slow,
        **{
            name: np.concatenate([getattr(quick, name), getattr(slow, name)])
            for name in ("send_lag_s", "latency_s", "status", "name", "error", "worker")
        },
        intended_s=np.concatenate([quick.intended_s - 30.0, slow.intended_s]),
    )
