"""Questions to a what-if: numbers as written, traces with questions, several applications."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from reports.analysis.simulable import why_not_simulated
from reports.whatif.from_record import recorded_scenario
from reports.whatif.scenario import Arrivals
from reports.whatif.settings import parse_assignment
from scalelag.autoscaler.ray_autoscaler import check_settings
from scalelag.cli.main import app
from scalelag.cli.whatif import WhatIfOptions, ask
from scalelag.cli.whatif_load import OtherLoad
from scalelag.errors import UsageError
from scalelag.record.application_info import ApplicationInfo
from scalelag.record.run_dir import RecordedRun, load_run

DEMO = Path(__file__).parents[1] / "golden" / "stored" / "demo"
KEY = "default/Sleeper"


@pytest.fixture(scope="module")
def demo() -> RecordedRun:
    return load_run(DEMO)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5.", 5),
        (".5", 0.5),
        ("+5", 5),
        ("06", 6),
        ('"5"', 5),
        ("'0.25'", 0.25),
        ("4.0", 4),
        ("1e1", 10),
        ("max", "max"),
        ("true", "true"),
        ("null", None),
    ],
)
def test_a_value_is_the_number_that_ray_would_make_of_it(text: str, value: object):
    found = parse_assignment(f"metrics_interval_s={text}").value

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "1e400", "9" * 400, "9" * 5000])
def test_a_value_that_no_setting_could_have_is_refused(text: str):
    with pytest.raises(UsageError, match="no number that a setting could have"):
        parse_assignment(f"upscale_delay_s={text}")


def test_the_name_of_an_application_may_have_an_equals_sign():
    found = parse_assignment("a=b/D:upscale_delay_s=1")

    assert (found.deployment, found.name, found.value) == ("a=b/D", "upscale_delay_s", 1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (WhatIfOptions(("metrics_interval_s=1e-6",)), "samples in .* s, more than"),
        (WhatIfOptions(("look_back_period_s=0.00001",)), "samples in .* s, more than"),
        (WhatIfOptions(load=OtherLoad(steps="1000000rps:1h")), "no machine could hold it"),
    ],
)
def test_what_would_take_hours_is_refused(demo: RecordedRun, options: WhatIfOptions, said: str):
    with pytest.raises(UsageError, match=said):
        ask(demo, options)


def test_a_question_about_a_trace_is_answered_by_the_options_that_it_names(
    tmp_path: Path, demo: RecordedRun
):
    trace = tmp_path / "log.csv"
    trace.write_text("when,n\n0,5\n5,20\n10,20\n")
    with pytest.raises(UsageError, match="choose one with --trace-column"):
        ask(demo, WhatIfOptions(load=OtherLoad(trace=trace)))
    told = {"trace_column": "n", "trace_kind": "rates", "trace_time_column": "when"}

    found = ask(demo, WhatIfOptions(load=OtherLoad(trace=trace, of_trace=told)))

    assert found.validation.passed
    assert [(one.at_s, one.to_level) for one in found.steps][:2] == [(0.0, 5.0), (5.0, 20.0)]


def test_options_of_a_trace_are_those_of_a_run_and_go_with_one():
    done = CliRunner().invoke(app, ["whatif", str(DEMO), "--from", "10s"])

    assert done.exit_code == 2
    assert "--from goes with --trace" in done.output


def of_two_applications(run: RecordedRun, unit: str = "rps") -> RecordedRun:
    """The demo, with as many requests again for a fixed deployment of another application."""
    target = run.info.target
    other = msgspec.structs.replace(target.deployments[KEY], autoscaling=None)
    applications = {
        "default": ApplicationInfo((KEY,), route_prefix="/"),
        "other": ApplicationInfo(("other/Fixed",), route_prefix="/other"),
    }
    rows = run.requests
    twice = {
        name: np.repeat(getattr(rows, name), 2)
        for name in ("intended_s", "send_lag_s", "latency_s", "status", "name", "error", "worker")
    }
    twice["name"] = np.tile(np.array([0, 1], np.int32), rows.count)
    twice["latency_s"] = np.where(twice["name"] == 1, np.float32(9.0), twice["latency_s"])
    info = msgspec.structs.replace(
        run.info,
        target=msgspec.structs.replace(
            target,
            deployments={**target.deployments, "other/Fixed": other},
            watched=(*target.watched, "other/Fixed"),
            applications=applications,
        ),
        plan=msgspec.structs.replace(run.info.plan, unit=unit),
    )
    requests = msgspec.structs.replace(rows, names=("GET /", "GET /other"), **twice)
    return msgspec.structs.replace(run, info=info, requests=requests)


def test_requests_for_another_application_are_no_load_of_this_one(demo: RecordedRun):
    found = recorded_scenario(of_two_applications(demo), KEY)
    alone = recorded_scenario(demo, KEY)

    assert isinstance(found.scenario.load, Arrivals)
    assert isinstance(alone.scenario.load, Arrivals)
    assert np.array_equal(found.scenario.load.at_s, alone.scenario.load.at_s)
    assert found.scenario.service.requests == alone.scenario.service.requests
    assert found.requests == 2 * found.run.requests.count


def test_users_of_several_applications_are_not_simulated(demo: RecordedRun):
    assert "several applications in turn" in (
        why_not_simulated(of_two_applications(demo, unit="users"), KEY) or ""
    )


def test_requests_of_unknown_applications_are_the_reason_for_none(demo: RecordedRun):
    run = of_two_applications(demo)
    unnamed = msgspec.structs.replace(run.requests, names=("GET /", "GET /"))
    applications = {
        name: msgspec.structs.replace(one, route_prefix=f"/{name}")
        for name, one in run.info.target.applications.items()
    }
    target = msgspec.structs.replace(run.info.target, applications=applications)
    info = msgspec.structs.replace(run.info, target=target)
    run = msgspec.structs.replace(run, info=info, requests=unnamed)

    assert "cannot be told" in (why_not_simulated(run, KEY) or "")


def test_a_record_of_odd_options_has_the_defaults_of_the_load_generator(demo: RecordedRun):
    odd = {"max_in_flight": [1], "request_timeout": "soon"}
    info = msgspec.structs.replace(demo.info, options={**demo.info.options, **odd})

    found = recorded_scenario(msgspec.structs.replace(demo, info=info), KEY).scenario

    assert (found.max_in_flight, found.timeout_s) == (1000, 30.0)


def test_a_record_that_is_not_whole_says_so_beside_the_answer(demo: RecordedRun):
    cut = msgspec.structs.replace(demo, problems=("requests.arrow ends early.",))

    found = ask(cut, WhatIfOptions())

    assert found.notes == ("The record is not whole: requests.arrow ends early.",)


def test_what_is_unset_of_a_deployment_is_rays_default(demo: RecordedRun):
    described = demo.info.target.deployments[KEY]
    config = {**described.config, "max_ongoing_requests": None, "max_concurrent_queries": 8}

    check_settings(KEY, msgspec.structs.replace(described, config=config))
