"""Gaps of the probe's own process: on record, and no fault of the target's."""

from pathlib import Path

import pytest

from scalelag.observer import pulse
from scalelag.record.row_files import RowWriter
from scalelag.record.rows import PROBE_ENDED, PROBE_HELD_UP, Gap


class EndedError(Exception):
    """Ends an endless loop."""


@pytest.mark.parametrize("reason", [f"{PROBE_ENDED} (SIGKILL)", PROBE_HELD_UP])
def test_a_gap_of_the_probe_is_told_from_one_of_the_target(reason: str):
    assert Gap(1.0, 2.0, reason, 0).of_the_probe
    assert not Gap(1.0, 2.0, "HTTP 503", 1).of_the_probe


def test_a_process_that_was_held_up_notices_from_when_to_when(monkeypatch: pytest.MonkeyPatch):
    times = iter([0.0, 0.5, 1.0, 6.0, 6.5])
    monkeypatch.setattr(pulse, "BEAT_S", 0.0)
    signs: list[None] = []
    held: list[tuple[float, float]] = []

    def now() -> float:
        try:
            return next(times)
        except StopIteration:
            raise EndedError from None

    with pytest.raises(EndedError):
        pulse.beat(
            now, lambda: signs.append(None), lambda from_s, to_s: held.append((from_s, to_s))
        )

    assert held == [(1.0, 6.0)]
    assert len(signs) == 4


@pytest.mark.parametrize("kept", [b"", b'{"type":"gap"}\n', b"x" * 200_000 + b"\n"])
@pytest.mark.parametrize("half", [b"", b'{"ty', b"y" * 100_000])
def test_half_a_row_of_a_killed_writer_is_cut_off(tmp_path: Path, kept: bytes, half: bytes):
    file = tmp_path / "replicas.jsonl"
    file.write_bytes(kept + half)

    writer = RowWriter(file)
    writer.append([Gap(1.0, 2.0, "HTTP 503", 1)])
    writer.close()

    assert file.read_bytes().startswith(kept + b'{"type":"gap","from":1.0')
    assert file.read_bytes().count(b"\n") == kept.count(b"\n") + 1
