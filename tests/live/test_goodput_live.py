"""Goodput of a step up on `llm_stream`: it falls while requests queue for replicas, and comes back.

A replica takes two answers of 0.35 s at a time, and so 5.7 a second. 10 are asked for: they queue, and
first tokens are late, until there are more replicas and the queue is gone.
"""

import numpy as np
import pytest

from scalelag.record.run_dir import load_run

pytestmark = pytest.mark.long

FIRST_S, BETWEEN_S, TOKENS = 0.1, 0.05, 6
TTFT_S, ITL_S = 0.6, 0.2
STEP_S, END_S = 4.0, 28.0


@pytest.fixture(scope="module")
def run(on_cluster_once):
    """The run, ended well, and what it printed."""
    arguments = {
        "tokens": TOKENS,
        "time_to_first_token_s": FIRST_S,
        "time_between_tokens_s": BETWEEN_S,
        "max_ongoing_requests": 2,
        "target_ongoing_requests": 1,
        "upscale_delay_s": 1,
        "max_replicas": 3,  # each that starts takes seconds of both cores
    }
    command = on_cluster_once(
        *("run", "--app", "llm_stream", "-f", "llm_chat.py"),
        *(f"--app-arg={name}={value}" for name, value in arguments.items()),
        *(
            "--steps",
            f"3rps:{STEP_S:g}s,10rps:{END_S - STEP_S:g}s",
            "--drain",
            "0",
            "--out",
            "runs",
        ),
        *("--slo", f"ttft<{TTFT_S * 1000:g}ms", "--slo", f"itl<{ITL_S * 1000:g}ms"),
        *("--gate", "load.goodput.while_scaling_ratio <= 0.9"),
    )
    code, output = command.wait()
    assert code in (0, 5), output  # 5: the machine was too busy to send on time
    return command, output


def good_rows(command):
    """Return due times in seconds of the plan, and whether each request was good by its own times."""
    recorded = load_run(command.run_dirs[-1])
    rows = recorded.requests
    told = rows.streams
    between_s = (told.last_token_s - told.first_token_s) / (told.timed_tokens - 1)
    good = np.zeros(rows.count, bool)
    good[told.row] = (told.first_token_s < TTFT_S) & (between_s < ITL_S)
    return rows.intended_s - recorded.info.zero_s, good & (rows.error < 0)


def test_goodput_falls_while_replicas_come_and_is_back_after(run):
    command, output = run
    at_s, good = good_rows(command)
    report = command.report()
    (deployment,) = report["deployments"].values()
    lag_s = deployment["steps"][1]["total_s"]["hi"]

    before, last = good[at_s < STEP_S - 1], good[at_s >= END_S - 3]
    queued = good[(at_s >= STEP_S + 1) & (at_s < STEP_S + lag_s)]

    assert np.mean(before) > 0.9, output
    assert np.mean(queued) < 0.6, output
    assert np.mean(last) > 0.9, output


def test_the_report_says_how_far_and_while_what(run):
    command, output = run
    at_s, good = good_rows(command)
    load = command.report()["load"]
    calm, step = (one["goodput"] for one in load["steps"][:2])

    assert load["goodput"]["good"] == good.sum() == calm["good"] + step["good"]
    assert step["good"] == good[at_s >= STEP_S].sum()
    assert step["scaling_s"] > 0
    # Not below the rest of the step: what had piled up is late after the replicas have come, too.
    assert step["while_scaling_ratio"] < calm["ratio"], output
    assert step["ratio"] < calm["ratio"]
    assert "Goodput: requests within ttft<600ms, itl<200ms" in output
    (gate,) = [one for one in command.report()["gates"] if "goodput" in one["expr"]]
    assert gate["verdict"] == "pass"
