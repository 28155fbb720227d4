"""`scalelag tune` on a stored run: its answer, its files, and what bad input gets."""

import re
import shutil
from pathlib import Path

import msgspec
import pytest
import yaml

from reports.analysis.analyse import analyse
from reports.model.formats import ComparisonFormat
from reports.model.tune import TUNE_FIGURES, Confirmation, TuneReport
from reports.render.html.report_page import render_html
from reports.render.html.shell import script
from reports.render.html.tune_page import render_html_tune
from reports.render.markdown import text as escaped
from reports.render.tables.tune import confirmation_table, tune_sentences, tune_table
from reports.render.terminal.tune import (
    print_tune,
    render_json_tune,
    render_markdown_tune,
    tune_schema,
)
from reports.render.tune_yaml import tune_yaml
from scalelag.autoscaler import trials
from scalelag.cli.tune import TuneOptions, find, tune
from scalelag.cli.tune_confirm import again, check_confirmable
from scalelag.cli.tune_file import tune_of
from scalelag.cluster.apps import with_autoscaling
from scalelag.errors import EXIT_GATE_FAILED, EXIT_INVALID, ScalelagError, UsageError
from scalelag.record.run_dir import RecordedRun, load_run
from tests.golden.expected_files import checked
from tests.support.hostile import elements, hostile, leads_away, obeyed, printed, without_isolates

DEMO = Path(__file__).parents[1] / "golden" / "stored" / "demo"
KEY = "default/Sleeper"
SLO = "p95<400ms"


@pytest.fixture(scope="module")
def demo() -> RecordedRun:
    return load_run(DEMO)


FEW = TuneOptions(
    slo=SLO, candidates=10, keep=("max_replicas", "min_replicas", "target_ongoing_requests")
)


@pytest.fixture(scope="module")
def found(demo: RecordedRun) -> TuneReport:
    """The answer of a search among targets, delays and intervals."""
    return find(demo, TuneOptions(slo=SLO, candidates=20, keep=FEW.keep[:2]))


@pytest.fixture(scope="module")
def kept(demo: RecordedRun) -> TuneReport:
    """The answer of a small search, on all cores."""
    return find(demo, FEW)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEMO, tmp_path / "20261122-174501-demo"))


def middle(of, name):
    return of[name].span.value


def test_the_first_choice_is_less_time_beyond_the_limit_than_the_run(found: TuneReport):
    assert found.validation.passed
    assert not found.own_is_first
    own, first = found.own, found.found[0].figures
    assert middle(first, "beyond_slo_s") < middle(own, "beyond_slo_s")


@pytest.mark.long
def test_among_all_settings_too_the_first_choice_is_less_time_beyond_the_limit(demo: RecordedRun):
    found = find(demo, TuneOptions(slo=SLO, candidates=30))

    assert not found.own_is_first
    assert middle(found.found[0].figures, "beyond_slo_s") < middle(found.own, "beyond_slo_s")


def test_no_setting_found_is_better_than_another_in_every_figure(found: TuneReport):
    for one in found.found:
        for other in found.found:
            assert one is other or any(
                middle(one.figures, name) <= middle(other.figures, name) for name in TUNE_FIGURES
            )


def test_every_setting_found_differs_from_the_run_and_says_what_it_buys(found: TuneReport):
    for one in found.found:
        assert one.settings
        for setting in one.settings:
            assert setting.before != setting.after
            assert set(setting.buys) == set(TUNE_FIGURES)
            assert one.autoscaling_config[setting.setting] == setting.after


def test_every_figure_comes_from_twenty_repetitions(found: TuneReport):
    for figures in (found.own, *(one.figures for one in found.found)):
        assert {one.repetitions for one in figures.values()} == {20}


def test_a_kept_setting_is_the_runs_own_in_all_that_is_found(kept: TuneReport):
    assert kept.found
    for one in kept.found:
        assert not {setting.setting for setting in one.settings} & set(FEW.keep)
        assert one.autoscaling_config["max_replicas"] == 4


def test_all_that_is_found_saves_what_was_asked(demo: RecordedRun):
    found = find(demo, TuneOptions(slo=SLO, candidates=15, keep=FEW.keep[:2], min_savings_pct=3))

    own = middle(found.own, "replica_hours")
    assert found.found
    assert all(middle(one.figures, "replica_hours") <= 0.97 * own for one in found.found)


def test_nothing_that_saves_enough_is_a_failed_gate(run: Path, capsys: pytest.CaptureFixture[str]):
    options = msgspec.structs.replace(FEW, min_savings_pct=99)

    code = tune(run, options, ComparisonFormat.TERMINAL, None)

    assert code == EXIT_GATE_FAILED
    assert "No settings were found" in capsys.readouterr().out


def test_settings_that_do_not_reproduce_the_run_are_not_searched(demo: RecordedRun):
    described = demo.info.target.deployments[KEY]
    wrong = msgspec.structs.replace(
        described, autoscaling={**(described.autoscaling or {}), "upscale_delay_s": 10.0}
    )
    target = msgspec.structs.replace(demo.info.target, deployments={KEY: wrong})
    other = msgspec.structs.replace(demo, info=msgspec.structs.replace(demo.info, target=target))

    found = find(other, FEW)

    assert not found.validation.passed
    assert found.found == ()
    assert found.tried == ()


def test_a_run_that_is_not_reproduced_ends_with_5(run: Path):
    info = run / "run.json"
    info.write_text(info.read_text().replace('"upscale_delay_s": 2.0', '"upscale_delay_s": 10.0'))

    code = tune(run, FEW, ComparisonFormat.TERMINAL, None)

    assert code == EXIT_INVALID


def test_without_a_limit_there_is_nothing_to_search_for(demo: RecordedRun):
    with pytest.raises(UsageError, match="give --slo"):
        find(demo, TuneOptions())


@pytest.mark.parametrize("text", ["ttft<500ms", "gap<1s", "latency<300ms"])
def test_a_limit_that_is_not_simulated_is_told_as_that(demo: RecordedRun, text: str):
    with pytest.raises(UsageError, match=f"^--slo {text}: .*such as p95<200ms"):
        find(demo, TuneOptions(slo=text))


@pytest.mark.parametrize(
    ("taken", "output_format"),
    [("tune.json", ComparisonFormat.TERMINAL), ("tune.html", ComparisonFormat.HTML)],
)
def test_a_folder_of_the_run_that_takes_no_answer_is_told_before_the_search(
    run: Path, taken: str, output_format: ComparisonFormat, monkeypatch: pytest.MonkeyPatch
):
    (run / taken).mkdir()
    monkeypatch.setattr("scalelag.cli.tune.find", pytest.fail)

    with pytest.raises(ScalelagError, match=f"Cannot write .*{taken}: it is a folder"):
        tune(run, FEW, output_format, None)


def test_the_command_keeps_its_answer_and_writes_the_yaml_the_same_on_any_number_of_cores(
    run: Path, tmp_path: Path, kept: TuneReport, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(trials.os, "cpu_count", lambda: 1)
    out, output = tmp_path / "tuned.yaml", tmp_path / "tune.md"
    options = msgspec.structs.replace(FEW, out=out)

    code = tune(run, options, ComparisonFormat.MARKDOWN, output)

    assert code == 0
    assert tune_of(run) == kept
    assert out.read_text() == tune_yaml(kept)
    assert render_markdown_tune(kept) == output.read_bytes()


def test_the_yaml_names_application_and_deployment_where_both_have_slashes(found: TuneReport):
    named = msgspec.structs.replace(found, deployment="team/chat/LLM/v1", application="team/chat")

    [app] = yaml.safe_load(tune_yaml(named))["applications"]

    assert (found.application, found.deployment) == ("default", "default/Sleeper")
    assert (app["name"], app["deployments"][0]["name"]) == ("team/chat", "LLM/v1")


def test_the_yaml_goes_into_an_application_as_it_is(found: TuneReport, tmp_path: Path):
    path = tmp_path / "tuned.yaml"
    path.write_text(tune_yaml(found))

    [app] = with_autoscaling([{"name": "default", "import_path": "mine:app"}], path)

    assert app["import_path"] == "mine:app"
    assert app["deployments"] == [
        {"name": "Sleeper", "autoscaling_config": found.found[0].autoscaling_config}
    ]


def test_other_overrides_of_a_deployment_stay(tmp_path: Path):
    path = tmp_path / "a.yaml"
    given = {"name": "A", "autoscaling_config": {"max_replicas": 3}}
    path.write_text(yaml.safe_dump({"applications": [{"name": "x", "deployments": [given]}]}))
    there = {"name": "A", "max_ongoing_requests": 7, "num_replicas": 2}

    [app] = with_autoscaling([{"name": "x", "deployments": [there, {"name": "B"}]}], path)

    assert app["deployments"] == [{**given, "max_ongoing_requests": 7}, {"name": "B"}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1", "has no autoscaling_config"),
        ("applications: [1, {deployments: 2}]", "has no autoscaling_config"),
        ("[", "is not valid YAML"),
        (
            "applications: [{name: y, deployments: [{name: A, autoscaling_config: {}}]}]",
            "names the application y; --app deploys x",
        ),
    ],
)
def test_a_file_without_settings_for_the_application_is_refused(tmp_path: Path, text, said):
    path = tmp_path / "a.yaml"
    path.write_text(text)

    with pytest.raises(UsageError, match=said):
        with_autoscaling([{"name": "x"}], path)


def test_every_format_has_the_settings_and_what_they_buy(found: TuneReport):
    page = render_html_tune(found, script("")).decode()
    markdown = render_markdown_tune(found).decode()

    for text in (page, markdown):
        assert "replica-hours" in text
        assert "as in the run" in text
        assert "autoscaling_config" in text
    assert markdown.count(escaped(tune_table(found).note)) == 1
    assert len(tune_sentences(found)) == len(found.found)
    assert len(tune_table(found).rows) == len(found.found) + 1


def test_no_format_has_anything_of_a_foreign_text_but_itself(found: TuneReport):
    answer = hostile(found)
    page = render_html_tune(answer, script(""))
    shown = printed(lambda console: print_tune(console, answer, with_yaml=True), 100)

    assert elements(page) == elements(render_html_tune(found, script("")))
    assert leads_away(page) == []
    for text in (page, render_markdown_tune(answer), render_json_tune(answer), shown.encode()):
        assert obeyed(without_isolates(text)) == []


def test_the_page_of_the_run_shows_the_chart(demo: RecordedRun, found: TuneReport):
    analysis = analyse(demo)

    without = render_html(analysis, script("")).decode()
    with_it = render_html(msgspec.structs.replace(analysis, tune=found), script("")).decode()

    assert "Better settings" not in without
    assert "Better settings" in with_it
    assert 'id="plot-pareto"' in with_it


def test_a_broken_answer_beside_the_record_is_none(tmp_path: Path):
    assert tune_of(tmp_path) is None
    (tmp_path / "tune.json").write_text("{")

    assert tune_of(tmp_path) is None


def test_a_confirmation_stands_beside_the_prediction(found: TuneReport):
    measured = Confirmation("20261122-180000-demo-tuned", {"lag_s": None})

    table = confirmation_table(msgspec.structs.replace(found, confirmed=measured))

    assert table is not None
    assert "demo-tuned" in table.caption
    assert len(table.rows) == 3
    assert confirmation_table(found) is None


def test_the_real_run_is_the_recorded_one_with_other_settings(demo: RecordedRun, tmp_path: Path):
    info = msgspec.structs.replace(
        demo.info, launched={"app": "cpu_bound", "autoscaling": "old.yaml"}
    )

    words = again(msgspec.structs.replace(demo, info=info), tmp_path, tmp_path / "new.yaml")

    assert words[0] == "run"
    assert words[words.index("--steps") + 1] == "5rps:10s,40rps:20s,5rps:20s"
    assert words[words.index("--app") + 1] == "cpu_bound"
    for flag, value in (
        ("--autoscaling", str(tmp_path / "new.yaml")),
        ("--out", str(tmp_path)),
        ("--name", "demo-tuned"),
    ):
        assert words.count(flag) == 1
        assert words[words.index(flag) + 1] == value


def test_an_application_that_was_there_already_is_not_changed(demo: RecordedRun):
    target = msgspec.structs.replace(demo.info.target, embedded=False)
    info = msgspec.structs.replace(demo.info, target=target, launched={})

    with pytest.raises(UsageError, match="was there already"):
        check_confirmable(msgspec.structs.replace(demo, info=info))


def test_a_run_with_a_secret_is_not_made_again(demo: RecordedRun):
    info = msgspec.structs.replace(demo.info, launched={"app_arg": ["hf_token=(not recorded)"]})

    with pytest.raises(UsageError, match="had a secret"):
        check_confirmable(msgspec.structs.replace(demo, info=info))


def test_the_published_schema_is_current():
    checked(DEMO.parents[3] / "docs" / "tune.schema.json", tune_schema())


def test_nothing_is_written_if_the_runs_own_settings_are_the_best_choice(
    run: Path,
    tmp_path: Path,
    kept: TuneReport,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    own = msgspec.structs.replace(kept, own_is_first=True)
    monkeypatch.setattr("scalelag.cli.tune.find", lambda *_: own)
    out = tmp_path / "tuned.yaml"

    code = tune(run, msgspec.structs.replace(FEW, out=out), ComparisonFormat.TERMINAL, None)

    said = capsys.readouterr()
    assert (code, out.exists()) == (0, False)
    assert f"--out {out}: nothing is written" in said.err
    assert "autoscaling_config" not in said.out
    assert b"autoscaling_config" not in render_markdown_tune(own)


def test_a_limit_that_no_setting_ever_keeps_is_no_pass(
    run: Path, capsys: pytest.CaptureFixture[str]
):
    """The application sleeps for 200 ms."""
    options = msgspec.structs.replace(FEW, slo="p95<1ms", candidates=4)

    code = tune(run, options, ComparisonFormat.TERMINAL, None)

    said = " ".join(capsys.readouterr().out.split())
    assert code == EXIT_GATE_FAILED
    assert said.startswith("FAIL")
    assert re.search(
        r"No setting keeps p95<1ms in any second of the load, whose p95 is \d+ ms", said
    )
