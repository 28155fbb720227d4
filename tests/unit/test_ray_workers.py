"""Load workers on Ray: their job, seen from the master, and its demands on nodes."""

import shlex

import pytest

import scalelag
from scalelag.cluster.ray_job.driver_main import in_turns, what_lacks
from scalelag.cluster.ray_job.reach import Address
from scalelag.cluster.ray_job.submit import RayWorkers
from scalelag.errors import RetryAdvice, TargetError
from tests.unit.ray_job_cases import Ray

MASTER = Address("10.0.0.7", 5557, "0.0.0.0")


def workers_on(ray: Ray, runtime_env=None) -> RayWorkers:
    return RayWorkers(ray, 3, MASTER, runtime_env, ray.patience)  # pyright: ignore[reportArgumentType]


def test_the_job_says_where_the_master_is_how_many_are_wanted_and_of_which_version():
    ray = Ray()

    with workers_on(ray, {"working_dir": "s3://bucket/load.zip"}):
        pass

    assert shlex.split(str(ray.submitted["entrypoint"])) == [
        *("python", "-m", "scalelag.cluster.ray_job.driver_main"),
        *("--master", "10.0.0.7:5557"),
        *("--workers", "3"),
        *("--version", scalelag.__version__),
    ]
    assert ray.submitted["runtime_env"] == {"working_dir": "s3://bucket/load.zip"}
    assert str(ray.submitted["submission_id"]).startswith("scalelag-load-")


def test_a_cluster_that_tells_its_session_is_asked_for_by_it():
    ray = Ray(version={"session_name": "session_1"})

    with workers_on(ray):
        pass

    assert str(ray.submitted["entrypoint"]).endswith("--session session_1")


def test_in_the_end_the_job_is_stopped_and_once_it_has_ended_it_is_off_the_list():
    ray = Ray(stops_after_s=2.0)

    with workers_on(ray):
        assert ray.asked == ["POST /api/jobs/"]

    job = f"/api/jobs/{ray.submitted['submission_id']}"
    assert ray.asked[1:] == [f"POST {job}/stop", f"DELETE {job}"]
    assert ray.status is None


def test_a_job_that_comes_back_on_the_list_is_taken_off_again():
    ray = Ray(back_after_s=1.0)

    with workers_on(ray):
        pass

    assert [line.partition(" ")[0] for line in ray.asked] == ["POST", "POST", "DELETE", "DELETE"]
    assert ray.status is None


def test_a_job_that_has_ended_is_not_stopped_and_one_that_does_not_end_is_left():
    ended, endless = Ray(), Ray(stops_after_s=1e9)

    with workers_on(ended):
        ended.status = "SUCCEEDED"
    with workers_on(endless):
        pass

    assert not [line for line in ended.asked if line.endswith("/stop")]
    assert ended.status is None
    assert (endless.status, endless.now_s < 10) == ("RUNNING", True)


def test_an_error_in_the_run_is_not_hidden_by_a_dashboard_that_is_gone():
    ray = Ray()

    def a_run_that_fails():
        with workers_on(ray):
            ray.status = None
            raise ValueError("of the run")

    with pytest.raises(ValueError, match="of the run"):
        a_run_that_fails()


def test_a_dashboard_of_another_kind_is_refused():
    ray = Ray(version={"session_name": 5})

    with pytest.raises(TargetError, match="does not answer like a Ray dashboard"):
        workers_on(ray).__enter__()


@pytest.mark.parametrize("status", ["FAILED", "STOPPED", "SUCCEEDED"])
def test_workers_that_ended_before_the_run_began_are_an_error_with_their_last_lines(status):
    ray = Ray(logs="".join(f"line {i}\n\n" for i in range(20)) + "node 10.0.0.9 has no locust\n")

    with workers_on(ray) as workers:
        workers.check()
        ray.status = status
        with pytest.raises(TargetError) as raised:
            workers.check()

    text = str(raised.value)
    assert f"http://dashboard ended before the run began ({status})" in text
    assert "10.0.0.7:5557" in text
    assert "--master-host" in text
    assert text.endswith("line 19\nnode 10.0.0.9 has no locust")
    assert "line 5\n" not in text
    assert raised.value.retry is RetryAdvice.NEVER


def test_without_a_log_there_is_what_ray_says_of_the_job():
    ray = Ray()

    with workers_on(ray) as workers:
        said = workers.explain()
        ray.status = None
        unreadable = workers.explain()

    assert said.endswith("last lines:\nas it is")
    assert "its log cannot be read" in unreadable


@pytest.mark.parametrize(
    ("scalelag_there", "locust_there", "lack"),
    [
        ("1.2", "2.44", None),
        (None, "2.44", "node 10.0.0.9 has no scalelag: install scalelag 1.2 on every node"),
        ("1.2", None, "node 10.0.0.9 has no locust: install scalelag 1.2 on every node"),
        (
            None,
            None,
            "node 10.0.0.9 has no scalelag and locust: install scalelag 1.2 on every node",
        ),
        (
            "1.1",
            "2.44",
            (
                "node 10.0.0.9 has scalelag 1.1, and the master 1.2: install the same version on "
                "every node"
            ),
        ),
    ],
)
def test_a_node_needs_locust_and_the_masters_version(scalelag_there, locust_there, lack):
    facts = {"node": "10.0.0.9", "scalelag": scalelag_there, "locust": locust_there}

    assert what_lacks(facts, "1.2") == lack


def node(name: str, cpus: float | None, *, alive=True) -> dict[str, object]:
    """As `ray.nodes()` describes it; a node without CPUs lists none."""
    resources = {"memory": 1e9} if cpus is None else {"CPU": cpus, "memory": 1e9}
    return {"NodeID": name, "Alive": alive, "Resources": resources}


@pytest.mark.parametrize(
    ("nodes", "places"),
    [
        ([node("a", 4), node("b", 4)], ["a", "b", "a", "b", "a"]),
        ([node("a", 4), node("gone", 4, alive=False), node("b", 2)], ["a", "b", "a", "b", "a"]),
        ([node("head", None), node("a", 4), node("b", 4)], ["a", "b", "a", "b", "a"]),
        ([node("head", None)], ["head"] * 5),
    ],
)
def test_workers_go_to_the_nodes_in_turns(nodes, places):
    assert in_turns(nodes, 5) == places
