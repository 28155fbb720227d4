"""A record of twelve applications with hundreds of replicas: the page says what it does not draw."""

from pathlib import Path

import pytest

from reports.analysis.analyse import analyse
from reports.model.charts import Analysis
from reports.model.formats import Details, Format
from reports.render.formats import Rendering, render
from scalelag.record.run_dir import load_run
from tests.support.built.crowd import APPS, write_crowd

OF_EACH = 120
SIX_MB = 6_000_000


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    run: Path = tmp_path_factory.mktemp("crowd") / "run"
    write_crowd(run, OF_EACH)
    return analyse(load_run(run))


def test_every_application_has_its_step_answered_with_its_critical_replica(crowd):
    steps = [one.steps[1] for one in crowd.report.deployments.values()]

    assert len(steps) == APPS
    assert [step.replicas_after for step in steps] == [OF_EACH] * APPS
    # The last replica to run, 5 s or more after the step, which is polled once a second.
    assert [step.critical_replica for step in steps] == [
        f"{number:02d}x{OF_EACH - 1:05d}" for number in range(APPS)
    ]


def test_charts_draw_a_part_of_the_replicas_the_critical_ones_among_them_and_say_so(crowd):
    for key, own in crowd.charts.deployments.items():
        drawn = {bar.replica for bar in own.bars}
        step = crowd.report.deployments[key].steps[1]
        assert step.critical_replica in drawn
        assert f"{key}: {len(drawn)} of {OF_EACH} replicas are drawn" in crowd.charts.thinned


def test_the_page_stays_under_six_megabytes(crowd):
    page = render(Rendering(crowd, "runs/crowd", strict=False, details=Details.MOVED), Format.HTML)

    assert len(page) < SIX_MB
