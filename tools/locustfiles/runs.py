"""Run a locustfile with plain Locust and with scalelag, and read what each counted."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import requests

from tests.support.ports import free_port
from tests.support.waiting import wait_for
from tools.locustfiles.cases import SECONDS, Case, Counts

ROOT: Final = Path(__file__).parents[2]
ATTACHED: Final = ROOT / "locustfiles" / "attached.py"
DEADLINE_S: Final = 120.0
_STATS: Final = "counted"


class Outcome(NamedTuple):
    """A run's counts, its exit code, and the marks that were found after it."""

    counts: Counts
    exit_code: int
    found: tuple[str, ...]
    said: str


def plain(case: Case, folder: Path, host: str) -> Outcome:
    """Run the case with plain Locust."""
    for name in ("out", "counts"):
        (folder / name).mkdir()
    load = () if case.shape else ("-u", str(case.users), "-r", "100", "-t", f"{SECONDS}s")
    # `--csv` of the case itself goes elsewhere; its numbers are read from there.
    asked = _value_of("--csv", case.options)
    counting = () if asked else ("--csv", f"counts/{_STATS}")
    command = ("locust", "-f", case.locustfiles, "--host", host, *case.options, *counting)
    code, said = _run(case, folder, command, load, {"user_count": str(case.users)})
    counts = _of_csv(folder / (asked or f"counts/{_STATS}"))
    return Outcome(counts, code, _found(case, folder, said), said)


def ours(case: Case, folder: Path, host: str, dashboard: str) -> Outcome:
    """Run the case with `scalelag run`; with a master and a worker, with Locust and `attached.py`."""
    (folder / "out").mkdir()
    steps = f"{case.users}users:{SECONDS}s"
    load = () if case.shape else ("--steps", steps)
    own = ("--host", host, "--dashboard", dashboard, "--drain", "0", "--out", "runs")
    if case.start == "master":
        command = ("locust", "-f", f"{ATTACHED},{case.locustfiles}", *own, *case.options)
    else:
        page = ("--web",) if case.start == "page" else ()
        known = case.options if "--region" not in case.options else ("--", *case.options)
        command = ("scalelag.cli", "run", "-f", case.locustfiles, *own, *page, *load, *known)
        load = ()
    code, said = _run(case, folder, command, load, {"steps": steps, "shape_class": "StepShape"})
    return Outcome(_of_report(folder, said), code, _found(case, folder, said), said)


def _run(
    case: Case,
    folder: Path,
    command: Sequence[str],
    load: Sequence[str],
    form: Mapping[str, str],
) -> tuple[int, str]:
    """Run the command as the case says; its exit code, and what it printed."""
    for name, text in case.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    port = str(free_port())
    ports = ("--master-bind-port", port, "--master-port", port)
    is_ours = command[0] != "locust"
    if case.start == "page":
        return _run_page(case, folder, command, form)
    with ExitStack() as stack:
        words = [*command, *load]
        if case.start == "master":
            worker = ("locust", "-f", command[2], *ports, "--worker")
            stack.enter_context(_started(case, folder, worker, "worker"))
            words += [*ports, "--headless", "--master", "--expect-workers", "1"]
        elif case.start == "processes":
            words += ["--processes", "2", *(() if is_ours else ("--headless", *ports))]
        elif not is_ours:
            words += ["--headless", *ports]
        at = words.index("--") if "--" in words else len(words)
        words[at:at] = case.classes
        process = stack.enter_context(_started(case, folder, words, "output"))
        code = process.wait(DEADLINE_S)
    return code, (folder / "output").read_text(errors="replace")


def _run_page(
    case: Case, folder: Path, command: Sequence[str], form: Mapping[str, str]
) -> tuple[int, str]:
    """Choose the classes on the page, press Start, wait for the end, and press Ctrl-C."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    words = (*command, "--class-picker", "--web-host", "127.0.0.1", "--web-port", str(port))
    with _started(case, folder, words, "output") as process, requests.Session() as http:
        http.trust_env = False
        wait_for(lambda: _answers(http, url), "the page is up", DEADLINE_S)
        fields = {**form, "spawn_rate": "100", "run_time": f"{SECONDS}s"}
        fields |= {"user_classes": list(case.classes), "host": _value_of("--host", command)}
        answer = http.post(f"{url}/swarm", data=fields, timeout=60).json()
        if not answer["success"]:
            raise RuntimeError(f"{case.kind}: {answer}")
        wait_for(
            lambda: http.get(f"{url}/stats/requests", timeout=10).json()["state"] == "stopped",
            "the test is over",
            DEADLINE_S,
        )
        if command[0] != "locust":
            wait_for(lambda: list(folder.glob("runs/*/report.json")), "its report", DEADLINE_S)
        process.send_signal(signal.SIGINT)
        code = process.wait(DEADLINE_S)
    return code, (folder / "output").read_text(errors="replace")


def _answers(http: requests.Session, url: str) -> bool:
    try:
        return http.get(url, timeout=5).ok
    except requests.RequestException:
        return False


@contextmanager
def _started(
    case: Case, folder: Path, words: Sequence[str], output: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of `python -m` with these words, that is ended with the block."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **case.environment}
    with (folder / output).open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)  # the session that it leads is ours
            try:
                process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _value_of(option: str, words: Sequence[str]) -> str | None:
    return words[words.index(option) + 1] if option in words else None


def _found(case: Case, folder: Path, said: str) -> tuple[str, ...]:
    return tuple(mark for mark in case.marks if mark in said or (folder / mark).exists())


def _of_csv(prefix: Path) -> Counts:
    """Return what Locust's own `--csv` files say."""
    rows = list(csv.DictReader(Path(f"{prefix}_stats.csv").read_text().splitlines()))
    (whole,) = [row for row in rows if row["Name"] == "Aggregated"]
    exceptions = csv.DictReader(Path(f"{prefix}_exceptions.csv").read_text().splitlines())
    return Counts(
        int(whole["Request Count"]),
        int(whole["Failure Count"]),
        sum(int(row["Count"]) for row in exceptions),
    )


def _of_report(folder: Path, said: str) -> Counts:
    paths = list(folder.glob("runs/*/report.json"))
    if len(paths) != 1:
        raise RuntimeError(f"{len(paths)} reports in {folder}: {said[-2000:]}")
    load = json.loads(paths[0].read_bytes())["load"]
    return Counts(load["sent"], load["failed"], load["task_exceptions"])
