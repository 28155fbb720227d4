"""Applications of `beating_app`, what their replicas wrote down, and events on them in reports."""

import json

import msgspec

SLOW_S = 0.5


def application(name, folder, replicas, *, args=None, options=None, **more):
    """A Serve config of one; `options` are further ones of its deployment."""
    return {
        "name": name,
        "route_prefix": f"/{name}",
        "import_path": "tests.live.beating_app:app",
        "args": {"folder": str(folder), "slow_s": SLOW_S} | (args or {}),
        "deployments": [{"name": "Beating", "num_replicas": replicas} | (options or {})],
    } | more


def rows_of(path):
    """Rows of a file of replicas; none before the first of them."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def starts_in(folder):
    """Row of each replica that came up, by its id."""
    return {row["replica"]: row for row in rows_of(folder / "starts.jsonl")}


def last_beats(folder):
    """Last moment of each replica, by its id."""
    return {path.name: float(path.read_text()) for path in folder.iterdir() if not path.suffix}


def event_jobs(dashboard):
    """Jobs of events that the cluster has."""
    jobs = msgspec.json.decode(dashboard.get("/api/jobs/").body)
    return [one for one in jobs if (one["submission_id"] or "").startswith("scalelag-event-")]


def event(report, index):
    """Event `index` of a report, and its moment in Unix seconds.

    It took place between its request and the answer, which may be 0.2 s apart on a busy machine;
    durations count from the middle, as of every interval.
    """
    found = next(one for one in report["events"] if one["index"] == index)
    return found, report["run"]["started_s"] + (found["at_s"] + found["ended_s"]) / 2


def phase_s(effect, name):
    """A phase of an event, or of one deployment in it."""
    return next(phase["value"] for phase in effect["phases"] if phase["name"] == name)
