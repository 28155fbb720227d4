"""Messages of the observer come through a socket in any pieces, and so does a state of any content."""

from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from probes.replica_probe import ProbeState
from scalelag.observer.messages import (
    LastPoll,
    LogsRead,
    Progress,
    Ready,
    Report,
    Rows,
    WriteFailure,
    framed,
    frames,
)
from scalelag.record.application_info import ApplicationInfo
from scalelag.record.clock import ClockOffset
from scalelag.record.deployment_info import DeploymentInfo
from scalelag.record.rows import DeploymentPoll, Gap, Poll

POLL = Poll(1.0, 1.5, 200, {"app/A": DeploymentPoll({"RUNNING": 2}, 2, "HEALTHY")})
STATE = ProbeState(
    1.0,
    latest=POLL,
    offset=ClockOffset(0.5, 0.1),
    deployed={"app/A": DeploymentInfo(autoscaling={"max_replicas": 2**80})},
)
MESSAGES: list[Report] = [
    Ready(),
    Progress(),
    Progress(STATE),
    Rows((POLL, Gap(1.0, 2.0, "HTTP 503", 3)), more=True),
    WriteFailure("No space left on device"),
    LastPoll(3.0, {"app": ApplicationInfo(("app/A",), "/", "app/A")}),
    LogsRead(),
]
SENT = b"".join(map(framed, MESSAGES))


@given(st.lists(st.integers(1, len(SENT))))
def test_messages_come_whole_in_any_pieces(cuts: list[int]):
    edges = sorted({0, *cuts, len(SENT)})
    pieces = iter([SENT[a:b] for a, b in pairwise(edges)])

    bodies = list(frames(lambda _: next(pieces, b"")))

    assert [msgspec.json.decode(body, type=Report) for body in bodies] == MESSAGES


def test_half_a_message_at_the_end_is_dropped():
    pieces = iter([SENT[:-1]])

    assert len(list(frames(lambda _: next(pieces, b"")))) == len(MESSAGES) - 1
