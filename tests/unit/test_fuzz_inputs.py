"""Whatever a file or an option of `scalelag run` holds, it ends with one of its exit codes.

And without a traceback: see tests/support/fuzz.py, and `make fuzz`.
"""

import pytest

from scalelag.cli.run.attempt import Attempt
from scalelag.cli.run.retries import AttemptResult
from scalelag.options.catalog import OPTIONS
from tests.support.fuzz import CONTENT, damaged_text, invoke, odd, rounds
from tests.unit.trace_cases import history
from tests.unit.traces.forms import FORMS

FILES = {
    "--config": ("c.toml", "pyproject.toml"),
    "--data": ("d.csv", "d.jsonl", "d.txt"),
    "--body-file": ("body",),
    "--trace": ("t.csv", "t.jsonl"),
    "--app": ("a.yaml",),
    "--autoscaling": ("s.yaml",),
    "--requests": ("r.toml",),
    "--locustfile": ("l.py",),
    "--workers-runtime-env": ("e.json",),
    "--dashboard-ca": ("ca.pem",),
    "--tokenizer": ("tokenizer.json",),
}
BESIDE = {
    "--data": ("--json-body", '{"a": {{ a }}}'),
    "--tokenizer": ("--prompt-tokens", "10..20", "--json-body", '{"prompt": ""}'),
}
OWN = (
    *("--app", "--app-arg", "--app-dir", "--host", "--runs", "--retries", "--retry-wait", "--cpus"),
    *("--master-host", "--locust", "--ray", "--ray-python", "--processes", "--calibrate-hold"),
)
LLM = ("-f", "llm_chat.py")
TOML = """\
app = "sleeper"
steps = "10rps:10s,20rps:10s"
header = ["Authorization: Bearer x", "X-All: own"]
gate = ["load.names.ask.latency_p95_ms <= 300"]
slo = ["p95<400ms", "ttft<1s"]
seed = 7
drain = 5.5
poisson = false
"""
REQUESTS = """\
mix = [{ ask = 7, list = 3 }, { ask = 1, "odd. n" = 1, x = 2 }]

[[request]]
name = "ask"
path = "/ask"
method = "post"
json-body = '{"a": 1}'
expect = "ok"

[[request]]
name = "list"
path = "list?limit=10"
header = ["X-All: own"]

[[request]]
name = 'odd. n'
body-file = "body"
arrivals = "poisson"

[[request]]
name = "x"
path = "/{{ id }}"
data = "rows.csv"
model = "m1"
"""
APPS = """\
applications:
  - name: one
    route_prefix: /one
    import_path: serve_apps.sleeper:app
    args: {sleep_s: 0.1}
    runtime_env: {env_vars: {A: b}}
    deployments:
      - name: Sleeper
        max_ongoing_requests: 5
        autoscaling_config: {min_replicas: 1, max_replicas: 4, target_ongoing_requests: 2}
  - name: two
    route_prefix: /two
    import_path: serve_apps.front:app
"""
TRACES = {
    **{f"{name}.{'jsonl' if '{' in form([0, 5]) else 'csv'}": form for name, form in FORMS.items()},
    "history.csv": lambda all_ms: history([0, *(ms // 100 for ms in all_ms)]),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of its own to run in; runs end where they would start a cluster."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Attempt, "run", lambda *_: AttemptResult(0, None))
    monkeypatch.setattr("scalelag.cli.run.command.run_calibration", lambda *_: 0)
    return tmp_path


def options(draw, many):
    """Options of a run with odd values."""
    known = [option.flag for option in OPTIONS if option.type != "flag"]
    flags = [option.flag for option in OPTIONS if option.type == "flag"]
    chosen = draw.choices([*known, *OWN], k=many)
    values = [f"{flag}={odd(draw)}".replace("\0", "") for flag in chosen]
    return [*values, *draw.choices(flags, k=draw.randrange(2))]


def test_any_value_of_any_option(here):
    for draw in rounds(150):
        invoke("run", *draw.choice([(), LLM]), *options(draw, draw.choice([1, 2, 2, 5])))


def test_any_content_of_any_file_with_options(here):
    for draw in rounds(120):
        flag = draw.choice(list(FILES))
        name = draw.choice(FILES[flag])
        content = draw.choice(CONTENT)
        if draw.random() < 0.3:
            content += draw.choice(CONTENT)
        (here / name).write_bytes(content)
        extra = BESIDE.get(flag, ())
        invoke("run", flag, name, *extra, *options(draw, draw.choice([0, 0, 1])))
        (here / name).unlink()


def test_any_change_of_a_run_as_a_file(here):
    (here / "body").write_bytes(b"x")
    (here / "rows.csv").write_text("id\n1\n2\n")
    for draw in rounds(60):
        text = draw.choice([TOML, TOML + REQUESTS])
        (here / "scalelag.toml").write_bytes(damaged_text(draw, text))
        (here / "r.toml").write_bytes(damaged_text(draw, REQUESTS))
        invoke("run", *draw.choice([(), ("--steps", "1rps:9s,2rps:9s", "--requests", "r.toml")]))
        (here / "scalelag.toml").unlink()


def test_any_change_of_a_trace(here):
    beside = ("--from", "--to", "--rate-scale", "--time-scale", "--trace-unit", "--prompt-tokens")
    for draw in rounds(80):
        name = draw.choice(list(TRACES))
        times_ms = sorted(draw.choices(range(60_000), k=20))
        (here / name).write_bytes(damaged_text(draw, TRACES[name](times_ms)))
        extra = [f"{draw.choice(beside)}={odd(draw)}" for _ in range(draw.randrange(2))]
        invoke("run", *draw.choice([(), LLM]), "--trace", name, *extra)
        (here / name).unlink()


def test_any_change_of_a_configuration_of_applications(here):
    for draw in rounds(40):
        (here / "apps.yaml").write_bytes(damaged_text(draw, APPS))
        (here / "scaling.yaml").write_bytes(
            damaged_text(draw, "min_replicas: 1\nmax_replicas: 4\n")
        )
        more = draw.choice([(), (), ("--autoscaling", "scaling.yaml")])
        invoke("run", "--app", "apps.yaml", *more)
