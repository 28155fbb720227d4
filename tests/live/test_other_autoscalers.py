"""Two applications at once: one with a policy of its own, one whose target swings by its settings."""

import pytest
import yaml

from tests.live.conftest import valid_run

pytestmark = pytest.mark.long

POLICY = "tests.support.app_policy:one_for_four_requests"
QUICK = {
    "min_replicas": 1,
    "max_replicas": 8,
    "target_ongoing_requests": 2,
    "metrics_interval_s": 0.3,
    "look_back_period_s": 1,
    "upscale_delay_s": 1,
    # Long enough for replicas to start before the target turns.
    "downscale_delay_s": 8,
}
USERS = """
from locust import HttpUser, constant_throughput, task

class Swinging(HttpUser):
    wait_time = constant_throughput(4)
    @task
    def ask(self):
        self.client.get("/")

class Together(HttpUser):
    wait_time = constant_throughput(4)
    @task
    def ask(self):
        self.client.get("/together")
"""


def application(name, prefix, autoscaling, **more):
    """A `sleeper` with those settings of its autoscaling."""
    return {
        "name": name,
        "route_prefix": prefix,
        "import_path": "serve_apps.sleeper:app",
        "args": {"service_time_s": 0.2, "num_cpus": 0.05},
        "deployments": [
            {
                "name": "Sleeper",
                "graceful_shutdown_wait_loop_s": 0.2,
                "autoscaling_config": autoscaling,
            }
        ],
        **more,
    }


APPLICATIONS = [
    application("swinging", "/", QUICK | {"upscaling_factor": 2.0, "downscaling_factor": 2.0}),
    application("together", "/together", QUICK, autoscaling_policy={"policy_function": POLICY}),
]


@pytest.fixture(scope="module")
def told(tmp_path_factory, on_cluster_once):
    """Report of a run against both, and what it printed."""
    folder = tmp_path_factory.mktemp("files")
    apps, users = folder / "apps.yaml", folder / "theirs.py"
    apps.write_text(yaml.safe_dump({"applications": APPLICATIONS}))
    users.write_text(USERS)
    command, code, output = valid_run(
        on_cluster_once,
        *("run", "--app", str(apps), "-f", str(users), "--gate", "none"),
        *("--steps", "2users:5s,12users:38s", "--drain", "2", "--out", "runs"),
    )
    assert code == 0, output
    return command.report(), output


def step_up(report, key):
    """The step to many users."""
    return report["deployments"][key]["steps"][1]


def test_a_policy_of_the_application_has_a_lag_and_a_delay_but_no_demand(told):
    report, output = told
    deployment = report["deployments"]["together/Sleeper"]
    step = step_up(report, "together/Sleeper")

    assert step["total_s"]["value"] > QUICK["upscale_delay_s"]
    assert step["floor"]["delay_s"] == QUICK["upscale_delay_s"]
    assert (step["floor"]["push_s"], step["floor"]["average_s"]) == (None, None)
    assert deployment["elasticity"]["demand"] is None
    assert f"its application has an autoscaling policy of its own, {POLICY}" in str(deployment)
    assert "its application has an autoscaling policy of its own" in " ".join(output.split())


def test_a_target_that_swings_has_a_first_response_and_the_setting_that_makes_it(told):
    report, _ = told
    step = step_up(report, "swinging/Sleeper")

    assert step["total_s"]["value"] > 0
    assert len(step["movements"]) >= 2
    (finding,) = [found for found in step["findings"] if found["cause"] == "oscillation"]
    assert "scaling_factor" in finding["advice"]
