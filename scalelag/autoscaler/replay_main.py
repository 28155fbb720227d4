"""A process that replays a run: `python -m scalelag.autoscaler.replay_main`.

It reads a `ReplayInput` as JSON and prints a `Replay`. It is a process of its own, since reports are
also made in load processes, which must not load Ray.
"""

import sys

import msgspec

from reports.whatif.replay import Replay, ReplayInput, replay
from scalelag.autoscaler.ray_autoscaler import RayAutoscaler, quiet_ray
from scalelag.errors import ScalelagError


def main() -> None:
    """Replay what standard input describes."""
    given = msgspec.json.decode(sys.stdin.buffer.read(), type=ReplayInput)
    # Ray takes pandas where it is there, for nothing that is asked here: a third of all its imports.
    sys.modules["pandas"] = None  # pyright: ignore[reportArgumentType]  so Python blocks an import
    quiet_ray()
    try:
        found = replay(given, lambda: RayAutoscaler({given.key: given.described}))
    except ScalelagError as error:
        found = Replay(reason=str(error))
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main()
