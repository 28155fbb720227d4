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

    `starts.jsonl` has its pid, and when its constructor began and ended, in Unix seconds. `slow_s` is
    what the constructor takes.
    """

    def __init__(self, folder: str, slow_s: float) -> None:
        entered_s = time.time()
        replica = serve.get_replica_context().replica_id.unique_id
        file = (Path(folder) / replica).open("w")
        threading.Thread(target=_beat, args=(file,), daemon=True).start()
        time.sleep(slow_s)
        row = {
            "replica": replica,
            "pid": os.getpid(),
            "entered_s": entered_s,
            "left_s": time.time(),
        }
        with (Path(folder) / "starts.jsonl").open("a") as starts:
            starts.write(json.dumps(row) + "\n")

    async def __call__(self) -> str:
        await asyncio.sleep(0.02)
        return "alive"


def _beat(file):
    while True:
        file.seek(0)
        file.write(f"{time.time():.6f}")
        file.flush()
        time.sleep(BEAT_S)


def app(args: dict):
    return Beating.options(ray_actor_options={"num_cpus": 0.1}).bind(
        args["folder"], float(args["slow_s"])
    )
