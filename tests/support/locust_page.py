"""A Locust with its web page against stand-ins, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.support.ports import free_port
from tests.support.servers.http_echo import running_echo
from tests.support.standin.process import ROOT, running_standin
from tests.support.standin.scenarios import one_deployment, steady_replica
from tests.support.standin.script import Script
from tests.support.waiting import wait_for

STEPPED = str(ROOT / "locustfiles" / "stepped.py")


class LocustPage:
    """A Locust with its web page, driven by the requests that the page sends."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, folder: Path) -> None:
        self.process = process
        self.url = url
        self.http = requests.Session()
        self.http.verify = False
        self.http.trust_env = (
            False  # a bundle of certificates named there would be believed instead
        )
        self._folder = folder

    @property
    def output(self) -> str:
        return (self._folder / "output").read_text()

    def is_up(self) -> bool:
        try:
            return self.http.get(self.url, timeout=2).ok
        except requests.RequestException:
            return False

    def form(self) -> dict[str, dict[str, Any]]:
        """Fields of the start form that a test with our load plan needs, by name."""
        form = self.http.get(f"{self.url}/scalelag/form", timeout=10).json()
        fields = [field for section in form["sections"] for field in section["fields"]]
        return {field["name"]: field for field in fields if field["tests"] != "users"}

    def filled(self, **fields: str) -> dict[str, str]:
        """Fields as a browser sends them: these filled in, the others as they are."""
        shown = {name: field["value"] for name, field in self.form().items()}
        texts = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in shown.items()
        }
        return texts | fields

    def swarm(self, **fields: str) -> dict[str, Any]:
        """Press Start; what the page is answered."""
        return self.http.post(f"{self.url}/swarm", data=fields, timeout=60).json()

    def start(self, **fields: str) -> None:
        answer = self.swarm(**fields)
        assert answer["success"], answer

    def stop(self) -> None:
        assert self.http.post(f"{self.url}/stop", timeout=30).ok

    def live(self, run: int = -1, epoch: int = -1, after: int = -1) -> dict[str, Any]:
        """News of the last run for a page that has seen this much of it."""
        seen = {"run": run, "epoch": epoch, "after": after}
        return self.http.get(f"{self.url}/scalelag/live", params=seen, timeout=10).json()

    def all_live(self) -> dict[str, Any]:
        """Every answer that a page which has just been opened is given, in one."""
        answer = self.live()
        rows = {name: list(answer[name]) for name in ("load", "replicas", "lags")}
        while answer["more"]:
            answer = self.live(answer["run"], answer["epoch"], answer["number"])
            for name in rows:
                rows[name] += answer[name]
        return answer | rows

    def is_sending(self) -> bool:
        """Return True if the last run has requests."""
        return bool(self.live().get("load"))

    def is_closed(self) -> bool:
        """Return True if the last run is closed."""
        return self.live()["state"] == "closed"

    def listed(self) -> list[dict[str, Any]]:
        """The list of runs that the page shows."""
        return self.http.get(f"{self.url}/scalelag/runs", timeout=10).json()

    @property
    def run_dirs(self) -> list[Path]:
        """Directories of the runs that are closed."""
        return [path.parent for path in sorted((self._folder / "runs").glob("*/report.json"))]

    def runs(self) -> list[dict[str, Any]]:
        """run.json of each run, those that are closed only."""
        return [json.loads((path / "run.json").read_bytes()) for path in self.run_dirs]


@contextmanager
def running_page(
    folder: Path,
    *arguments: str,
    locustfile: str = STEPPED,
    scheme: str = "http",
    base: str = "",
) -> Iterator[LocustPage]:
    """A Locust with these arguments that is up, in `folder`."""
    port = free_port()
    arguments = ("--web-host", "127.0.0.1", "--web-port", str(port), "--drain", "0", *arguments)
    with _running_locust(folder, "output", locustfile, *arguments) as process:
        page = LocustPage(process, f"{scheme}://127.0.0.1:{port}{base}", folder)
        wait_for(page.is_up, "the page is up")
        yield page


@contextmanager
def running_worker(folder: Path, port: str) -> Iterator[None]:
    """A worker of the Locust that listens at `port`, started by itself."""
    where = ("--master-host", "127.0.0.1", "--master-port", port)
    with _running_locust(folder, "worker-output", STEPPED, "--worker", *where):
        yield


@contextmanager
def _running_locust(
    folder: Path, output: str, locustfile: str, *arguments: str
) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / output).open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "locust", "-f", locustfile, *arguments],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # with the workers that it made
        process.wait()


@contextmanager
def page_on_standin(
    folder: Path, *arguments: str, script: Script | None = None, **options: str
) -> Iterator[LocustPage]:
    """The same, aimed at a stand-in that plays `script`, else one steady replica."""
    script = script or one_deployment(steady_replica())
    with running_standin(script) as standin, running_echo() as echo:
        where = ["--host", echo.url, "--dashboard", standin.url]
        with running_page(folder, *where, *arguments, **options) as page:
            yield page
