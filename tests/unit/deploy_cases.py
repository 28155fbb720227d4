"""Serve with applications of somebody else and of ours, as far as deploying goes."""

import json
import time
from contextlib import contextmanager

from probes.dashboard import Reply
from probes.serve_state import parse_payload
from scalelag.cli.run import targets
from scalelag.cluster.preflight import Patience

THEIRS = {"name": "theirs", "route_prefix": "/theirs", "import_path": "theirs:app"}
OURS = {"name": "ours", "route_prefix": "/ours", "import_path": "ours:app"}
SETTINGS = {
    "target_capacity": 50.0,
    "proxy_location": "HeadOnly",
    "http_options": {"host": "0.0.0.0", "port": 8123},
    "grpc_options": {"port": 9000, "grpc_servicer_functions": ["their.servicer"]},
}


class Serve:
    """A dashboard that carries out what it is told as Serve does: what is not named is gone."""

    url = "http://127.0.0.1:8265"

    def __init__(self, *apps, python=(), **settings):
        self.document = {"applications": list(apps), **settings}
        self.python = python
        self.deleting = frozenset[str]()
        self.deployments: dict[str, dict[str, object]] = {}

    def get(self, _path):
        applications = {
            app["name"]: {
                "status": "DELETING" if app["name"] in self.deleting else "RUNNING",
                "route_prefix": app.get("route_prefix", "/"),
                "deployed_app_config": app,
                "source": "declarative",
                "deployments": self.deployments.get(app["name"], {}),
            }
            for app in self.document["applications"]
        }
        applications |= {
            name: {
                "status": "RUNNING",
                "route_prefix": route,
                # As Ray 2.60 does: the last configuration of that name, whoever runs there now.
                "deployed_app_config": applications.get(name, {}).get("deployed_app_config"),
                "source": "imperative",
            }
            for name, route in self.python
        }
        body = {**self.document, "applications": applications}
        return Reply(json.dumps(body).encode(), 0.0, 0.0)

    def put(self, _path, body):
        self.document = body


class Target(Serve):
    """Serve with a deployment `D 1` in each application, its jobs, and its scaling API."""

    def __init__(self, *apps, **more):
        super().__init__(*apps, **more)
        self.deployments = {app["name"]: {"D 1": {"target_num_replicas": 2}} for app in apps}
        self.posted = []

    def get(self, path):
        answer = super().get(path)
        body = json.loads(answer.body)
        for app in body["applications"].values():
            config = app["deployed_app_config"] or {}
            app["external_scaler_enabled"] = config.get("external_scaler_enabled", False)
        return Reply(json.dumps(body).encode(), 0.0, 0.0)

    def put(self, path, body):
        super().put(path, body)
        return Reply(b"{}", 5.0, 5.1)

    def post(self, path, body):
        self.posted.append((path, body))
        return Reply(b"{}", 7.0, 7.1)


def there(serve):
    """State of Serve, as a poll reads it."""
    return parse_payload(serve.get("").body)


def patience():
    return Patience(0.0, time.monotonic, time.sleep)


@contextmanager
def target_of(serve, monkeypatch, apps=(OURS,), replacing=()):
    monkeypatch.setattr(targets, "Dashboard", lambda *_: serve)
    monkeypatch.setattr(targets, "check_endpoint", lambda _: None)
    endpoint = targets.Endpoint("http://127.0.0.1:8000", serve.url)
    with targets.existing(
        apps, endpoint, headers={}, verify=True, wait_s=0.0, left=[], replacing=replacing
    ) as there:
        yield there
