"""Retries: which faults are retried, after how long, and what is kept of each attempt."""

import msgspec
import pytest

from scalelag.cli.run import retries as module
from scalelag.cli.run.retries import AttemptResult, Retries, Validity, fault_of, read_validity
from scalelag.errors import InterruptedRunError, RetryAdvice, ScalelagError, TargetError, UsageError
from scalelag.plugin.parent import (
    OUTCOME_VARIABLE,
    Outcome,
    attempts_for_environment,
    earlier_attempts,
    fit_for_record,
    note_outcome,
    read_outcome,
)
from scalelag.record.run_info import EarlierAttempt

REFUSED = Outcome(refusal="No room: CPU: 1 short")
LOST = Validity("target", ("the probe saw nothing for 9 of 10 s",))


# The decision


def test_a_target_that_was_not_ready_is_retried():
    assert fault_of(3, REFUSED, Validity()) == "No room: CPU: 1 short"


def test_a_target_that_was_lost_is_retried():
    assert fault_of(5, Outcome("runs/one"), LOST) == "the probe saw nothing for 9 of 10 s"


@pytest.mark.parametrize(
    ("code", "outcome", "judged"),
    [
        pytest.param(0, Outcome("runs/one"), Validity(), id="passed"),
        pytest.param(4, Outcome("runs/one"), Validity(), id="a gate failed"),
        pytest.param(4, Outcome("runs/one"), LOST, id="a gate failed, whatever else"),
        pytest.param(5, Outcome("runs/one"), Validity(), id="inconclusive, strict"),
        pytest.param(5, Outcome("runs/one"), Validity("load", ("too slow",)), id="load too slow"),
        pytest.param(5, Outcome("runs/one"), Validity(None, ("slow answers",)), id="not known"),
        pytest.param(130, Outcome("runs/one"), LOST, id="interrupted"),
        pytest.param(1, Outcome(refusal="disk full"), Validity(), id="the tool failed"),
        pytest.param(2, Outcome(refusal="bad plan"), Validity(), id="usage"),
        pytest.param(
            3, Outcome(refusal="no such app", retry=RetryAdvice.NEVER), Validity(), id="never"
        ),
        pytest.param(3, Outcome(), Validity(), id="ended before it could say why"),
        pytest.param(-9, Outcome("runs/one"), LOST, id="the load process was killed"),
    ],
)
def test_everything_else_is_not(code, outcome, judged):
    assert fault_of(code, outcome, judged) is None


# Retries


class Tries:
    """Attempts that end as listed, an error being raised; a clock that only sleep moves."""

    def __init__(self, monkeypatch, *ends: AttemptResult | Exception) -> None:
        self._ends = list(ends)
        self.before: list[tuple[EarlierAttempt, ...]] = []
        self.slept: list[float] = []
        self.said: list[str] = []
        monkeypatch.setattr(module, "say", self.said.append)

    def run(self, count: int, wait_s: float = 10.0) -> int:
        return Retries(count, wait_s, self._now, self.slept.append).run(self._attempt)

    def _now(self) -> float:
        return 1000.0 + sum(self.slept)

    def _attempt(self, tries) -> AttemptResult:
        self.before.append(tries)
        end = self._ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end


LOST_RUN = AttemptResult(5, "runs/one", "lost")


def test_without_retries_a_run_is_made_once(monkeypatch):
    tries = Tries(monkeypatch, LOST_RUN)

    assert tries.run(0) == 5
    assert (tries.slept, tries.said) == ([], [])


def test_a_run_that_failed_through_the_target_is_made_again_and_keeps_its_record(monkeypatch):
    tries = Tries(monkeypatch, LOST_RUN, AttemptResult(0, "runs/two"))

    assert tries.run(2) == 0
    assert tries.before == [(), (EarlierAttempt(1000.0, "lost", "runs/one"),)]
    assert tries.said == [
        "attempt 1 of 3 failed through the target: lost; next in 10 s; its record: runs/one"
    ]


def test_a_target_that_was_not_there_is_waited_for_and_the_attempt_has_no_record(monkeypatch):
    tries = Tries(monkeypatch, TargetError("it did not start"), AttemptResult(4, "runs/two"))

    assert tries.run(1) == 4
    assert tries.before[1] == (EarlierAttempt(1000.0, "it did not start"),)
    assert tries.said == [
        "attempt 1 of 2 failed through the target: it did not start; next in 10 s",
    ]


def test_pauses_double_up_to_a_limit(monkeypatch):
    tries = Tries(monkeypatch, *[LOST_RUN] * 8)

    assert tries.run(7) == 5
    assert tries.slept == [10, 20, 40, 80, 160, 300, 300]


def test_a_first_pause_over_the_limit_stays_as_asked_for(monkeypatch):
    tries = Tries(monkeypatch, *[LOST_RUN] * 3)

    tries.run(2, wait_s=600.0)
    assert tries.slept == [600, 600]


def test_the_exit_code_is_that_of_the_last_attempt(monkeypatch):
    assert Tries(monkeypatch, LOST_RUN, AttemptResult(3, None, "no room")).run(1) == 3


def test_the_last_attempt_raises_what_it_raises(monkeypatch):
    tries = Tries(monkeypatch, LOST_RUN, TargetError("it did not start"))

    with pytest.raises(TargetError, match="it did not start"):
        tries.run(1)


@pytest.mark.parametrize(
    "error",
    [
        UsageError("a bad plan"),
        InterruptedRunError("interrupted"),
        ScalelagError("disk full"),
        TargetError("a wrong token", retry=RetryAdvice.NEVER),
    ],
)
def test_other_errors_end_it_at_once(monkeypatch, error):
    tries = Tries(monkeypatch, error, AttemptResult(0))

    with pytest.raises(type(error)):
        tries.run(3)
    assert len(tries.before) == 1


def test_a_measurement_ends_it_whatever_it_is(monkeypatch):
    for code in (0, 1, 2, 4, 5, 130):
        tries = Tries(monkeypatch, AttemptResult(code, "runs/one"), AttemptResult(0))

        assert tries.run(3) == code
        assert len(tries.before) == 1


# What the processes tell each other


def test_earlier_attempts_go_through_the_environment():
    tries = (EarlierAttempt(1.5, "lost", "runs/one"), EarlierAttempt(2.5, "no room"))

    assert earlier_attempts(attempts_for_environment(tries)) == tries
    assert earlier_attempts({}) == ()
    assert attempts_for_environment(()) == {}


def test_the_outcome_goes_through_a_file(tmp_path):
    path = tmp_path / "outcome.json"
    outcome = Outcome("runs/one", "no room", retry=RetryAdvice.NEVER)

    note_outcome(outcome, {OUTCOME_VARIABLE: str(path)})

    assert read_outcome(path) == outcome


def test_an_outcome_that_is_not_told_is_empty(tmp_path):
    (tmp_path / "torn").write_bytes(b'{"path": "ru')

    note_outcome(Outcome("x"), {})
    note_outcome(Outcome("x"), {OUTCOME_VARIABLE: str(tmp_path / "no" / "folder")})

    assert read_outcome(tmp_path / "none") == read_outcome(tmp_path / "torn") == Outcome()


def test_validity_is_read_from_the_report_of_the_run(tmp_path):
    report = {"verdict": "invalid", "invalid_through": "target", "reasons": ["gone"], "new": 1}
    (tmp_path / "report.json").write_bytes(msgspec.json.encode(report))

    assert read_validity(str(tmp_path)) == Validity("target", ("gone",))
    assert read_validity(str(tmp_path / "none")) == read_validity(None) == Validity()


def test_credentials_of_urls_are_not_recorded():
    reason = "GET https://me:secret@ray.example:8265/api/serve: connection refused (a@b)"

    assert fit_for_record(reason) == (
        "GET https://ray.example:8265/api/serve: connection refused (a@b)"
    )


def test_of_a_long_reason_the_end_is_recorded():
    reason = "Traceback\n" * 1000 + "ValueError: the cause"

    assert fit_for_record(reason).endswith("ValueError: the cause")
    assert len(fit_for_record(reason)) < 2100
