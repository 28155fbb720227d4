"""The replay of a run by Ray's own policy, asked of a process without gevent."""

import subprocess
import sys
from pathlib import Path

import msgspec

from reports.whatif.replay import Replay
from scalelag.errors import UNREADABLE
from scalelag.record.rows import DeploymentKey

_TIMEOUT_S = 300.0  # 3 s of CPU time, which a busy machine may not have for long


def replay_in_process(run: Path, key: DeploymentKey) -> Replay:
    """Return the decisions of Ray's policy on the load of a run directory, or the reason for none."""
    command = [sys.executable, "-m", "scalelag.autoscaler.replay_main", str(run), key]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=True)
        return msgspec.json.decode(done.stdout, type=Replay)
    except subprocess.TimeoutExpired:
        return Replay(reason=f"the replay took over {_TIMEOUT_S:.0f} s")
    except (subprocess.CalledProcessError, *UNREADABLE) as error:
        said = getattr(error, "stderr", b"").decode(errors="replace").strip().splitlines()
        return Replay(reason=f"the replay failed: {said[-1] if said else error}")
