"""The locustfiles: what people have in theirs, with a number of requests that no timing changes."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

MAIN: Final = "locustfile.py"
SECONDS: Final = 5
"""Length of each run: many times what its requests take."""
Start = Literal["command", "processes", "master", "page"]


class Counts(NamedTuple):
    """Requests and failures of a run, and exceptions in tasks."""

    requests: int
    failures: int = 0
    exceptions: int = 0


class Case(NamedTuple):
    """A kind of locustfile: its `files` by name, and how it is run.

    `locustfiles` is what `-f` gets, `classes` names users, `options` are Locust's, `marks` are files or
    texts of the output that must be found after the run. With a `shape`, nothing says how many users.
    """

    kind: str
    files: Mapping[str, str]
    expected: Counts
    users: int = 2
    locustfiles: str = MAIN
    classes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}
    marks: tuple[str, ...] = ()
    start: Start = "command"
    shape: bool = False
    why: str = ""


VISITOR = '''
from locust import HttpUser, constant, events, tag, task
from locust.exception import StopUser


class Visitor(HttpUser):
    """Asks five times, and then rests."""

    wait_time = constant(0.1)
    path = "/visit"
    left = 5

    @task
    def visit(self):
        if self.left:
            self.left -= 1
            self.client.get(self.path)
'''
_READER_WRITER = VISITOR.replace("Visitor", "Reader").replace("/visit", "/read") + (
    VISITOR.replace("Visitor", "Writer").replace("/visit", "/write").replace("left = 5", "left = 7")
)
_TAGGED = """
from locust import HttpUser, constant, tag, task


class Tagged(HttpUser):
    wait_time = constant(0.1)
    asked = 0

    @tag("smoke")
    @task
    def smoke(self):
        if self.asked < 4:
            self.asked += 1
            self.client.get("/smoke")

    @tag("slow")
    @task
    def slow(self):
        self.client.get("/status/500")
"""
_LONG_LISTENER = (
    VISITOR
    + """
import time

READY = []


@events.test_start.add_listener
def log_in(environment, **_):
    time.sleep(3)
    READY.append("token")


class Checked(Visitor):
    def on_start(self):
        self.path = "/visit" if READY == ["token"] else "/status/500"


Visitor.abstract = True
"""
)
_HANDED_OUT = (
    VISITOR
    + """
ACCOUNTS = []


@events.test_start.add_listener
def hand_out(environment, **_):
    ACCOUNTS.extend(range(environment.runner.target_user_count))


class Checked(Visitor):
    def on_start(self):
        self.path = f"/account/{ACCOUNTS.pop()}"


Visitor.abstract = True
"""
)
_STOPS = VISITOR + "        else:\n            raise StopUser\n"
_SHAPE = (
    VISITOR
    + """
from locust import LoadTestShape


class Stairs(LoadTestShape):
    def tick(self):
        return None if self.get_run_time() > 6 else (1 if self.get_run_time() < 3 else 3, 10)
"""
)
_OWN_OPTION = (
    VISITOR
    + """

@events.init_command_line_parser.add_listener
def with_region(parser):
    parser.add_argument("--region", default="")


class Checked(Visitor):
    def on_start(self):
        known = self.environment.parsed_options.region == "north"
        self.path = "/visit" if known else "/status/500"


Visitor.abstract = True
"""
)
_RAISES = VISITOR + (
    "        elif self.left == 0:\n"
    "            self.left = None\n"
    '            raise ValueError("odd")\n'
)
_CHECKS = VISITOR.replace(
    "self.client.get(self.path)",
    """with self.client.get(self.path, catch_response=True) as answer:
                if self.left == 0:
                    answer.failure("not what I wanted")""",
)
_FORGIVES = (
    VISITOR.replace("/visit", "/status/500")
    + """

@events.quitting.add_listener
def forgive(environment, **_):
    environment.process_exit_code = 0
"""
)
_QUITS = VISITOR.replace("if self.left:", "if self.left > 0:") + (
    "        else:\n"
    "            self.left -= 1\n"
    "            if self.left < -25:\n"
    "                self.environment.runner.quit()\n"
)
_OWN_CLIENT = """
import time

from locust import User, constant, task


class Caller(User):
    wait_time = constant(0.1)
    left = 5

    @task
    def call(self):
        if self.left:
            self.left -= 1
            time.sleep(0.003)
            self.environment.events.request.fire(
                request_type="RPC",
                name="call",
                response_time=3.0,
                response_length=2,
                exception=None if self.left else TimeoutError("late"),
                context={},
            )
"""
_ONE = {MAIN: VISITOR}
_TEN = Counts(10)
_EIGHT = Counts(8)
_PRINTS_ALL = {
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_METRICS_EXPORTER": "console",
    "OTEL_LOGS_EXPORTER": "none",
}
_CSV = tuple(
    f"out/stats_{part}.csv" for part in ("stats", "stats_history", "failures", "exceptions")
)

CASES: Final = (
    Case("one user class", _ONE, _TEN),
    Case("a `test_start` listener of 3 s", {MAIN: _LONG_LISTENER}, _TEN),
    Case("data handed out by `target_user_count`", {MAIN: _HANDED_OUT}, _TEN),
    Case("users that end themselves (`StopUser`)", {MAIN: _STOPS}, Counts(15), users=3),
    Case("`--tags`", {MAIN: _TAGGED}, _EIGHT, options=("--tags", "smoke")),
    Case("`--exclude-tags`", {MAIN: _TAGGED}, _EIGHT, options=("--exclude-tags", "slow")),
    Case("`LOCUST_TAGS`", {MAIN: _TAGGED}, _EIGHT, environment={"LOCUST_TAGS": "smoke"}),
    Case("`locust.conf`", {MAIN: _TAGGED, "locust.conf": "tags = smoke\n"}, _EIGHT),
    Case(
        "`--class-picker`, one class chosen",
        {MAIN: _READER_WRITER},
        Counts(14),
        classes=("Writer",),
        start="page",
    ),
    Case("`--csv`", _ONE, _TEN, options=("--csv", "out/stats"), marks=_CSV),
    Case("`--html`", _ONE, _TEN, options=("--html", "out/page.html"), marks=("out/page.html",)),
    Case(
        "several files",
        {"a.py": _READER_WRITER, "b.py": VISITOR},
        Counts(17),
        users=3,
        locustfiles="a.py,b.py",
    ),
    Case(
        "a folder",
        {"all/a.py": _READER_WRITER, "all/b.py": VISITOR},
        Counts(17),
        users=3,
        locustfiles="all",
    ),
    Case("users by name", {MAIN: _READER_WRITER}, Counts(14), classes=("Writer",)),
    Case("an option of its own", {MAIN: _OWN_OPTION}, _TEN, options=("--region", "north")),
    Case("`--processes 2`", _ONE, Counts(20), users=4, start="processes"),
    Case("`--master` and `--worker`", _ONE, _TEN, start="master"),
    Case(
        "`--otel`, printed",
        _ONE,
        _TEN,
        options=("--otel",),
        environment=_PRINTS_ALL,
        marks=("locust.client.duration",),
    ),
    Case("a shape class of its own", {MAIN: _SHAPE}, Counts(15), shape=True),
    Case("a client of its own (`events.request`)", {MAIN: _OWN_CLIENT}, Counts(10, 2)),
    Case("answers that it checks (`catch_response`)", {MAIN: _CHECKS}, Counts(10, 2)),
    Case("exceptions in tasks", {MAIN: _RAISES}, Counts(10, 0, 2)),
    Case("requests that fail", {MAIN: VISITOR.replace("/visit", "/status/500")}, Counts(10, 10)),
    Case(
        "requests that fail, and a listener that sets exit code 0",
        {MAIN: _FORGIVES},
        Counts(10, 10),
        why="the default gate on errors",
    ),
    Case(
        "`runner.quit()`", {MAIN: _QUITS}, Counts(5), users=1, why="the run ended before its plan"
    ),
)
