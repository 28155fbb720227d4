"""The replay of a run by Ray's own policy, asked of a process without gevent."""

import subprocess
import sys

import msgspec

from reports.analysis.load.concurrency import Concurrency
from reports.whatif.replay import Replay
from reports.whatif.replay_input import replay_input
from scalelag.errors import UNREADABLE
from scalelag.record.rows import DeploymentKey
from scalelag.record.run_dir import RecordedRun

_TIMEOUT_S = 300.0  # 3 s of CPU time, which a busy machine may not have for long


def replay_in_process(run: RecordedRun, key: DeploymentKey, opened: Concurrency) -> Replay:
    """Return the decisions of Ray's policy on the open requests of a run, or the reason for none."""
    given = replay_input(run, key, opened)
    if isinstance(given, str):
        return Replay(reason=given)
    command = [sys.executable, "-m", "scalelag.autoscaler.replay_main"]
    try:
        done = subprocess.run(
            command,
            input=msgspec.json.encode(given),
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
        return msgspec.json.decode(done.stdout, type=Replay)
    except subprocess.TimeoutExpired:
        return Replay(reason=f"the replay took over {_TIMEOUT_S:.0f} s")
    except (subprocess.CalledProcessError, *UNREADABLE) as error:
        said = getattr(error, "stderr", b"").decode(errors="replace").strip().splitlines()
        return Replay(reason=f"the replay failed: {said[-1] if said else error}")
