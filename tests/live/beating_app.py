"""An application whose replicas write down that they live, 100 times a second, and when they began."""

import asyncio
import json
import os
import threading
import time
from pathlib import Path

from ray import serve

BEAT_S = 0.01


@serve.deployment
class Beating:
    """Each replica has a file of its own in `folder`, called by its id, with its last moment.

    `starts.jsonl` has its pid and version, and when its constructor began and ended, in Unix seconds.
    `requests.jsonl` has a row when a request begins, and one when it is done. `slow_s` is what the
    constructor takes, `work_s` what a request takes.
    """

    def __init__(self, folder: str, slow_s: float, work_s: float, version: int) -> None:
        entered_s = time.time()
        replica = serve.get_replica_context().replica_id.unique_id
        self._work_s = work_s
        self._version = version
        # Each row in one write, past all buffers: the replica may be killed at any moment.
        self._requests = os.open(
            Path(folder) / "requests.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT
        )
        file = (Path(folder) / replica).open("w")
        threading.Thread(target=_beat, args=(file,), daemon=True).start()
        time.sleep(slow_s)
        row = {
            "replica": replica,
            "pid": os.getpid(),
            "version": version,
            "entered_s": entered_s,
            "left_s": time.time(),
        }
        with (Path(folder) / "starts.jsonl").open("a") as starts:
            starts.write(json.dumps(row) + "\n")

    async def __call__(self) -> str:
        self._note("begun")
        await asyncio.sleep(self._work_s)
        self._note("done")
        return "alive"

    def _note(self, event: str) -> None:
        row = {"event": event, "version": self._version, "at_s": time.time()}
        os.write(self._requests, json.dumps(row).encode() + b"\n")


def _beat(file):
    while True:
        file.seek(0)
        file.write(f"{time.time():.6f}")
        file.flush()
        time.sleep(BEAT_S)


def app(args: dict):
    return Beating.options(ray_actor_options={"num_cpus": 0.1}).bind(
        args["folder"],
        float(args["slow_s"]),
        float(args.get("work_s", 0.02)),
        int(args.get("version", 1)),
    )
