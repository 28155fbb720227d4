"""Gates on what a run will not have are refused before its load."""

import pytest

from reports.analysis.gate_checks import ExpectedParts, check_gates, known_after_the_load
from reports.analysis.gates import parse_gate
from scalelag.errors import UsageError
from scalelag.options.run_options import run_options

MIX = """
mix = [{ ask = 3, names = 1 }, { "x: y" = 1 }, { ask = 1 }]

[[request]]
name = "ask"
path = "/ask"

[[request]]
name = "names"
path = "/names"

[[request]]
name = "x: y"
path = "/x"
"""
GIVEN = {"steps": "10rps:10s,0rps:5s,20rps:10s", "slo": ["p95<2s"], "event": ["3s: kill proxy"]}
PARTS = ExpectedParts(
    watched=["app/Model"],
    steps=range(4),
    load_steps={0: None, 2: None},
    applications=["app", "b"],
    workers=range(2),
    windows=[0],
    nodes=["n1"],
    errors=["wrong answer: no HTTP", "HTTP 503"],
)


def gate(name):
    return parse_gate(f"{name} <= 3")


@pytest.fixture
def mixed(tmp_path):
    (tmp_path / "mix.toml").write_text(MIX)
    return GIVEN | {"requests": str(tmp_path / "mix.toml")}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("steps.9.total_s", "names step 9; the plan has the steps 0 to 3"),
        ("requests.steps.9.error_ratio", "names step 9; the plan has the steps 0, 2 in which"),
        ("load.steps.3.error_ratio", "names step 3; the plan has the steps 0, 2 in which"),
        ("Other:steps.1.total_s", "names no watched deployment (watched: app/Model)"),
        ("load.applications.chat.error_ratio", "names the application chat; there is app, b"),
        ("load.workers.7.offset_s", "names load process 7; there are the load processes 0 to 1"),
        ("load.windows.4.planned", "names window 4; there is window 0"),
        ("evidence.node_error_s.n2", "names the node n2; there is n1"),
        ("event.1.deployments.Model.healed_s", "names the deployment Model; there is app/Model"),
        ('load.errors."wrong answer: no"', 'names the error "wrong answer: no"; there is wrong'),
    ],
)
def test_a_part_that_does_not_come_is_refused(name, said):
    with pytest.raises(UsageError) as refused:
        check_gates([gate(name)], PARTS)

    assert str(refused.value).startswith(f'The gate "{name} <= 3" {said}')


def test_what_comes_or_is_not_known_passes():
    names = (
        "steps.3.total_s",
        "load.steps.2.error_ratio",
        "steps.*.total_s",
        "Model:steps.1.total_s",
    )

    check_gates(map(gate, (*names, "load.applications.b.failed", "load.names.x.failed")), PARTS)
    in_lists = ("load.workers.1.sent", "load.workers.*.sent", "load.windows.0.planned")
    check_gates(map(gate, (*in_lists, "evidence.node_error_s.*", 'load.errors."HTTP 500"')), PARTS)
    check_gates([gate("load.steps.9.failed"), gate("D:steps.9.total_s")], ExpectedParts())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("requests.names.aks.latency_p95_ms", "names the request aks; there is ask, names, x: y"),
        ("load.steps.0.names.list.failed", "names the request list; there is ask, names, x: y"),
        ('load.names."/ask".error_ratio', "names the request /ask; there is ask, names, x: y"),
        ("event.2.healed_s", "names event 2; there is event 1"),
    ],
)
def test_what_options_tell_is_refused_before_anything_is_started(mixed, name, said):
    with pytest.raises(UsageError, match="The gate") as refused:
        run_options({**mixed, "gate": [f"{name} <= 0.5"]})

    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            'load.steps.0.names."x: y".failed',
            "x: y in step 0, in which the mix sends only ask, names",
        ),
        ("load.steps.2.names.names.failed", "names in step 2, in which the mix sends only ask"),
    ],
)
def test_a_request_that_the_mix_does_not_send_in_that_step_is_refused(mixed, name, said):
    options = run_options(mixed)

    with pytest.raises(UsageError) as refused:
        check_gates([gate(name)], options.expected)

    assert said in str(refused.value)


def test_every_name_of_a_mix_in_a_step_that_has_it_passes(mixed):
    names = ("load.names.*.failed", "load.names.names.failed", 'load.names."x: y".failed')
    in_steps = ("load.steps.0.names.names.failed", "load.steps.2.names.ask.failed")

    options = run_options({**mixed, "gate": [f"{name} <= 3" for name in (*names, *in_steps)]})

    check_gates(options.gates, options.expected)
    assert list(known_after_the_load(options.gates, options.expected)) == []


def test_goodput_without_limits_is_refused():
    with pytest.raises(UsageError, match=r"is on goodput, which needs limits: give --slo"):
        run_options({"gate": ["load.goodput.ratio >= 0.9"]})

    run_options({"gate": ["load.goodput.ratio >= 0.9"], "slo": ["p95<2s"]})


@pytest.mark.parametrize("number", ["*", "1"])
def test_an_event_of_a_run_without_any_is_refused(number):
    with pytest.raises(UsageError, match="asks for an event; the run has none, see --event"):
        run_options({"gate": [f"event.{number}.healed_s <= 3"]})


def test_of_other_requests_it_is_said_that_their_names_are_not_known_yet():
    options = run_options({"gate": ["load.names.ask.failed <= 3", "load.failed <= 1"]})

    (said,) = known_after_the_load(options.gates, options.expected)

    assert 'names the request "ask"' in said
    assert "if none has this name, the gate is inconclusive" in said


def test_the_names_that_are_most_like_the_wanted_one_come_first():
    names = [f"request {number}" for number in range(40)] + ["ask"]

    with pytest.raises(UsageError, match=r"there is ask, request 0, .* and 31 more"):
        check_gates([gate("load.names.aks.failed")], ExpectedParts(requests=names))
