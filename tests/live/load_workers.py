"""Load workers on Ray: their actors, and what a run recorded of them."""

import msgspec
import numpy as np

from scalelag.record.run_dir import RUN_FILE, load_run

QUICK = ["--drain", "0", "--out", "runs"]
CLOCKS_S = 0.002
"""Workers and endpoint read the clock of one machine, each in its own way."""


def due(*stages):
    """Due times of the arrivals of constant `(rps, seconds)` stages, after the plan's start."""
    begin_s, times = 0.0, []
    for rps, seconds in stages:
        times.append(begin_s + np.arange(round(rps * seconds)) / rps)
        begin_s += seconds
    return np.concatenate(times)


def answer(dashboard, path):
    return msgspec.json.decode(dashboard.get(path).body)


def actors(dashboard):
    """Actors that run load workers, as in `ray list actors`."""
    listed = answer(dashboard, "/api/v0/actors?detail=1&limit=1000")["data"]["result"]["result"]
    return [a for a in listed if a["class_name"] == "LoadWorker" and a["state"] == "ALIVE"]


def recorded(command):
    (path,) = command.run_dirs
    return load_run(path).requests, msgspec.json.decode((path / RUN_FILE).read_bytes())
