"""Serve with targets, and events on it that are checked."""

import json
import time

from probes.dashboard import DashboardError, Reply
from scalelag.cluster.events import ready_events
from scalelag.cluster.preflight import Patience
from scalelag.plan.events import parse_event
from tests.unit.deploy_cases import Serve, there

PATIENCE = Patience(0.0, time.monotonic, time.sleep)


def app(name, replicas=2, version=1):
    return {
        "name": name,
        "route_prefix": f"/{name}",
        "import_path": "theirs:app",
        "args": {"version": version},
        "external_scaler_enabled": True,
        "deployments": [{"name": "D", "num_replicas": replicas}],
    }


class Cluster(Serve):
    """Serve as far as targets go: a deployment has that of its configuration, until the API sets it.

    What is deployed anew has its configuration's target again, and one that stays keeps its own.
    """

    def __init__(self, *apps, targets=None, **more):
        super().__init__(*apps, **more)
        self.targets = {one["name"]: configured(one) for one in apps} | (targets or {})
        self.refuses = False
        self.deploying = frozenset()

    def get(self, path):
        answer = json.loads(super().get(path).body)
        for name, found in answer["applications"].items():
            config = found["deployed_app_config"]
            if config is None:
                continue
            found["status"] = "DEPLOYING" if name in self.deploying else found["status"]
            found["external_scaler_enabled"] = True
            found["deployments"] = {
                "D": {
                    "status": "HEALTHY",
                    "replicas": [
                        {"replica_id": f"r{i}", "state": "RUNNING"}
                        for i in range(self.targets[name])
                    ],
                    "target_num_replicas": self.targets[name],
                    "deployment_config": {"num_replicas": configured(config)},
                }
            }
        return Reply(json.dumps(answer).encode(), 0.0, 0.0)

    def put(self, path, body):
        if self.refuses:
            raise DashboardError("no", "HTTP 400", 400)
        before = {one["name"]: one for one in self.document["applications"]}
        super().put(path, json.loads(json.dumps(body)))
        after = {one["name"]: one for one in self.document["applications"]}
        self.targets = {
            name: self.targets[name] if before.get(name) == one else configured(one)
            for name, one in after.items()
        }
        return Reply(b"{}", 5.0, 5.1)

    def post(self, path, body):
        _, _, rest = path.partition("/applications/")
        self.targets[rest.partition("/")[0]] = body["target_num_replicas"]
        return Reply(b"{}", 7.0, 7.1)

    @property
    def state(self):
        """Everything that a run may change."""
        apps = {one["name"]: one for one in self.document["applications"]}
        return {**self.document, "applications": apps}, dict(self.targets)


def configured(config):
    return config["deployments"][0]["num_replicas"]


def ready(serve, *texts):
    """Events, checked: of an application that is not there yet, too."""
    payload = there(serve)
    events = [parse_event(text) for text in texts]
    return ready_events(events, payload, frozenset(payload.deployments()), serve, "2.60.0")
