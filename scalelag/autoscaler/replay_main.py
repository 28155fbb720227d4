"""A process that replays a run: `python -m scalelag.autoscaler.replay_main RUN APP/DEPLOYMENT`.

It prints a `Replay` as JSON. It is a process of its own, since reports are also made in load processes,
which must not load Ray.
"""

import sys
from pathlib import Path

import msgspec

from reports.whatif.replay import Replay, replay
from scalelag.autoscaler.ray_autoscaler import RayAutoscaler, quiet_ray
from scalelag.errors import ScalelagError
from scalelag.record.run_dir import load_run


def main() -> None:
    """Replay the run that the arguments name."""
    path, key = sys.argv[1:]
    quiet_ray()
    try:
        run = load_run(Path(path))
        info = run.info.target.deployments[key]
        found = replay(run, key, lambda: RayAutoscaler({key: info}))
    except ScalelagError as error:
        found = Replay(reason=str(error))
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main()
