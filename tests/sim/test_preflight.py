"""Preflight and room against a stand-in: problems are reported before any load is sent."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from probes.dashboard import DashboardError
from scalelag.cluster.preflight import (
    Patience,
    check_endpoint,
    ray_version,
    ready_payload,
)
from scalelag.cluster.urls import without_credentials
from scalelag.errors import EXIT_TARGET, TargetError, UsageError
from tests.support.standin.process import running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica
from tests.support.standin.script import (
    DeploymentScript,
    Fault,
    Script,
    StatusOverride,
)

FOREVER_S = 1e6
TOKEN = "correct-horse-battery-staple"


class Hello(BaseHTTPRequestHandler):
    """Any web server: every path is a page."""

    def do_GET(self) -> None:
        body = b"<html><body>It works!</body></html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def web_server(handler: type[BaseHTTPRequestHandler] = Hello) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def closed_url() -> str:
    """A port at which nothing listens (any more)."""
    with web_server() as url:
        pass
    return url


class Looks:
    """Patience with a clock of its own: sleeping takes no time."""

    def __init__(self, wait_s: float) -> None:
        self.slept_s = 0.0
        self.tries = 0
        self.patience = Patience(wait_s, lambda: self.slept_s, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.slept_s += seconds

    def ready(self, dashboard, wanted=(), apps=()):
        def attempt():
            self.tries += 1
            return ready_payload(dashboard, wanted, apps)

        return self.patience.retry(attempt)


def deploying(until_s: float) -> Script:
    """An application that is DEPLOYING until then."""
    status = StatusOverride(-60.0, until_s, "UPDATING", "CONFIG_UPDATE_STARTED", "Starting up.")
    deployment = DeploymentScript(
        targets=((-60.0, 1),), replicas=(steady_replica(),), statuses=(status,)
    )
    return Script(applications={"default": {"Model": deployment}})


def failing(message: str) -> Script:
    status = StatusOverride(-60.0, FOREVER_S, "DEPLOY_FAILED", "REPLICA_STARTUP_FAILED", message)
    deployment = DeploymentScript(targets=((-60.0, 1),), replicas=(), statuses=(status,))
    return Script(applications={"default": {"Model": deployment}})


# The dashboard


def test_a_dashboard_that_is_ready_gives_its_payload_and_version(dashboard):
    with running_standin(one_deployment(steady_replica())) as standin:
        client = dashboard(standin.url)
        payload = ready_payload(client, ["default/Model"])
        version = ray_version(client)

    assert list(payload.deployments()) == ["default/Model"]
    assert version == "2.60.0"


def test_where_nothing_listens_it_says_so_and_names_the_option(dashboard, closed_url):
    looks = Looks(wait_s=1.0)

    with pytest.raises(TargetError) as caught:
        looks.ready(dashboard(closed_url))

    text = str(caught.value)
    assert closed_url in text
    assert "connection refused" in text
    assert "--dashboard" in text
    assert "(waited 1 s)" in text
    assert looks.tries == 5  # at once, and every quarter of a second
    assert caught.value.exit_code == EXIT_TARGET


def test_a_dashboard_that_comes_up_in_time_is_waited_for(dashboard):
    script = one_deployment(steady_replica(), faults=(Fault("refuse", at_s=0.0, lasts_s=1.0),))

    with running_standin(script) as standin:
        patience = Patience(20.0, time.monotonic, time.sleep)
        client = dashboard(standin.url)
        payload = patience.retry(lambda: ready_payload(client, []))

    assert list(payload.applications) == ["default"]


@pytest.mark.parametrize(
    ("token", "status", "said"),
    [(None, 401, "Set RAY_AUTH_TOKEN"), ("wrong", 403, "does not accept the token")],
)
def test_a_missing_or_wrong_token_is_said_at_once(dashboard, token, status, said):
    looks = Looks(wait_s=60.0)

    with running_standin(one_deployment(steady_replica(), token=TOKEN)) as standin:
        with pytest.raises(DashboardError) as caught:
            looks.ready(dashboard(standin.url, token))
        with pytest.raises(DashboardError) as of_version:
            ray_version(dashboard(standin.url, token))

    assert caught.value.status == of_version.value.status == status
    assert said in str(caught.value)
    assert "RAY_AUTH_TOKEN" in str(caught.value)
    assert token is None or token not in str(caught.value)
    assert looks.tries == 1


def test_another_web_server_is_no_ray_dashboard(dashboard):
    with web_server() as url, pytest.raises(TargetError) as caught:
        ray_version(dashboard(url))

    assert url in str(caught.value)
    assert "does not answer like a Ray dashboard" in str(caught.value)
    assert "--dashboard" in str(caught.value)


def test_who_mixes_up_the_ports_is_told_so(dashboard):
    """A run asks for the applications first, and gets a web page."""
    with web_server() as url, pytest.raises(TargetError) as caught:
        ready_payload(dashboard(url), [])

    assert url in str(caught.value)
    assert "--dashboard" in str(caught.value)


def test_a_server_without_the_pages_of_ray_is_said_at_once(dashboard):
    class Empty(Hello):
        def do_GET(self) -> None:
            self.send_error(404)

    looks = Looks(wait_s=60.0)

    with web_server(Empty) as url, pytest.raises(DashboardError) as caught:
        looks.ready(dashboard(url))

    assert "is this a Ray dashboard" in str(caught.value)
    assert looks.tries == 1


# Applications


def test_without_an_application_it_says_what_to_deploy(dashboard):
    looks = Looks(wait_s=0.5)

    with (
        running_standin(Script(serve_started=False)) as standin,
        pytest.raises(TargetError, match="no Serve application: deploy one") as caught,
    ):
        looks.ready(dashboard(standin.url))

    assert standin.url in str(caught.value)
    assert looks.tries == 3  # somebody may be deploying it just now


def test_an_application_that_is_deploying_is_waited_for_until_the_deadline(dashboard):
    looks = Looks(wait_s=2.0)

    with (
        running_standin(deploying(until_s=FOREVER_S)) as standin,
        pytest.raises(TargetError) as caught,
    ):
        looks.ready(dashboard(standin.url))

    text = str(caught.value)
    assert 'Application "default" is DEPLOYING, not RUNNING' in text
    assert "Starting up." in text
    assert "(waited 2 s)" in text
    assert looks.slept_s == 2.0


def test_an_application_that_runs_before_the_deadline_is_ready(dashboard):
    patience = Patience(20.0, time.monotonic, time.sleep)

    with running_standin(deploying(until_s=1.0)) as standin:
        client = dashboard(standin.url)
        payload = patience.retry(lambda: ready_payload(client, []))
        ready_s = standin.now_s()

    assert payload.applications["default"].status == "RUNNING"
    assert ready_s >= 1.0


def test_a_failed_deployment_is_said_at_once_and_with_its_reason(dashboard):
    looks = Looks(wait_s=60.0)
    message = "Traceback ...\nModuleNotFoundError: No module named 'torch'"

    with (
        running_standin(failing(message)) as standin,
        pytest.raises(TargetError) as caught,
    ):
        looks.ready(dashboard(standin.url))

    assert 'Application "default" failed to deploy' in str(caught.value)
    assert "ModuleNotFoundError: No module named 'torch'" in str(caught.value)
    assert looks.tries == 1


def test_of_a_long_traceback_the_end_is_shown(dashboard):
    message = "\n".join(f"  File {n}" for n in range(1000)) + "\nValueError: the cause"

    with (
        running_standin(failing(message)) as standin,
        pytest.raises(TargetError) as caught,
    ):
        ready_payload(dashboard(standin.url), [])

    assert str(caught.value).endswith("ValueError: the cause")
    assert len(str(caught.value)) < 2200


def test_an_unknown_deployment_is_answered_with_those_that_exist(dashboard):
    looks = Looks(wait_s=60.0)
    deployments = one_deployment(steady_replica()).applications["default"]
    deployments["Router"] = deployments["Model"]

    with (
        running_standin(Script(applications={"default": deployments})) as standin,
        pytest.raises(TargetError) as caught,
    ):
        looks.ready(dashboard(standin.url), ["default/Modle"])

    text = str(caught.value)
    assert "default/Modle" in text
    assert "default/Model, default/Router" in text
    assert looks.tries == 1


@pytest.mark.parametrize(("wanted", "apps"), [((), ("chat",)), (("chat/Model",), ())])
def test_an_unknown_application_is_answered_with_those_that_exist(dashboard, wanted, apps):
    looks = Looks(wait_s=60.0)

    with (
        running_standin(one_deployment(steady_replica())) as standin,
        pytest.raises(TargetError) as caught,
    ):
        looks.ready(dashboard(standin.url), wanted, apps)

    said = str(caught.value)
    assert "chat" in said
    assert "Name one of default" in said
    assert looks.tries == 1


def test_a_deployment_without_its_application_is_answered_with_those_that_exist(dashboard):
    with (
        running_standin(one_deployment(steady_replica())) as standin,
        pytest.raises(TargetError) as caught,
    ):
        ready_payload(dashboard(standin.url), ["Model"])

    # What was meant is "default/Model": that name must be in the answer.
    assert "default/Model" in str(caught.value)


def test_an_application_that_nobody_watches_may_be_in_trouble(dashboard):
    script = Script(
        applications=one_deployment(steady_replica()).applications
        | {"other": failing("no").applications["default"]}
    )

    with running_standin(script) as standin:
        payload = ready_payload(dashboard(standin.url), ["default/Model"])

    assert payload.applications["other"].status == "DEPLOY_FAILED"


# The endpoint


def test_any_answer_of_the_endpoint_will_do():
    with web_server() as url:
        check_endpoint(url)
        check_endpoint(f"{url}/")


def test_an_endpoint_that_does_not_answer_is_named_with_the_option(closed_url):
    with pytest.raises(TargetError) as caught:
        check_endpoint(closed_url)

    assert closed_url in str(caught.value)
    assert "connection refused" in str(caught.value)
    assert "--host" in str(caught.value)


@pytest.mark.parametrize("host", ["", "localhost:8000", "ftp://somewhere", "http://", "http//x"])
def test_a_host_that_is_no_url_is_a_mistake_in_usage(host):
    with pytest.raises(UsageError, match="is not a URL; write http://HOST:PORT"):
        check_endpoint(host)


def test_credentials_in_a_url_are_not_shown():
    shown = without_credentials("https://somebody:secret@ray.example:8265/x?y=1")

    assert shown == "https://ray.example:8265/x?y=1"
