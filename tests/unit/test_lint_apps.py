"""The applications that come with scalelag break no rule of its own."""

import pytest

from reports.analysis.lint.config import lint_config
from scalelag.record.run_info import DeploymentInfo
from serve_apps.batcher import BatcherArgs
from serve_apps.cold_start import ColdStartArgs
from serve_apps.cpu_bound import CpuBoundArgs
from serve_apps.front import ModelArgs
from serve_apps.llm_stream import LlmStreamArgs
from serve_apps.pipeline import FastArgs, IngressArgs, SlowArgs
from serve_apps.sleeper import SleeperArgs

# Ray warns of any metrics_interval_s but its own default.
pytestmark = pytest.mark.filterwarnings("ignore:The `metrics_interval_s` field:DeprecationWarning")


@pytest.mark.parametrize(
    "args",
    [
        *(SleeperArgs, CpuBoundArgs, ColdStartArgs, IngressArgs, FastArgs, SlowArgs),
        *(ModelArgs, LlmStreamArgs, BatcherArgs),
    ],
)
def test_the_defaults_of_an_application_break_no_rule(args):
    options = args().deployment_options()
    autoscaling = options.pop("autoscaling_config")

    assert lint_config({"default/App": DeploymentInfo(autoscaling, options)}) == ()
