"""Our tabs and our form on Locust's own page."""

import re
from pathlib import Path
from typing import Any

from flask import Response, before_render_template, jsonify, request
from locust.env import Environment
from locust.runners import STATE_CLEANUP, STATE_RUNNING, STATE_STOPPING
from locust.web import WebUI

from scalelag.errors import UsageError
from scalelag.plugin.leader.lifecycle import Control
from scalelag.plugin.leader.live_line import say
from scalelag.plugin.web.form import Fixed, fixed_options, form_fields, form_values

TABS = (
    {"title": "Replicas", "key": "scalelag-replicas", "component": "scalelag-replicas"},
    {"title": "Lag report", "key": "scalelag-report", "component": "scalelag-report"},
)
INJECTED = (
    '<link rel="stylesheet" href="./scalelag/static/scalelag.css">'
    '<script type="module" src="./scalelag/static/elements.js"></script>'
)
_INDEX = "locust.index"
_SWARM = "locust.swarm"
_STATISTICS = "locust.request_stats"


def add_tabs(web_ui: WebUI, environment: Environment, control: Control, url: str) -> None:
    """Put them there. Where this Locust has no place for tabs, say at which `url` the page is."""
    app: Any = web_ui.app
    fixed = fixed_options(vars(environment.parsed_options))
    if _SWARM in app.view_functions:
        app.view_functions[_SWARM] = web_ui.auth_required_if_enabled(
            _swarm(environment, control, fixed, app.view_functions[_SWARM])
        )
    lacking = missing_mechanism(web_ui)
    if lacking is not None:
        say(f"this Locust shows no tabs of ours ({lacking}): watch the replicas on {url}")
        return
    tabs: list[dict[str, str]] = web_ui.template_args.setdefault("extended_tabs", [])
    tabs.extend(TABS)
    # Else the fields of the form are sorted by name.
    app.jinja_env.policies["json.dumps_kwargs"] = {"sort_keys": False}
    app.after_request(_with_scripts)
    app.after_request(_asked_again)
    before_render_template.connect(_fields_of(environment, fixed), app, weak=False)


def missing_mechanism(web_ui: WebUI) -> str | None:
    """What this Locust lacks of that by which a tab is shown; None where all of it is there.

    It is no promise of Locust's: https://docs.locust.io names `extended_tabs`, not the rest.
    """
    app: Any = web_ui.app
    if not isinstance(getattr(web_ui, "template_args", None), dict):
        return "its page takes no arguments"
    if missing := {_INDEX, _SWARM} - app.view_functions.keys():
        return f"it has no {' and no '.join(sorted(missing))}"
    scripts = Path(app.template_folder, "assets").glob("*.js")
    if not any("extendedTabs" in path.read_text(encoding="utf-8") for path in scripts):
        return "its script knows no extendedTabs"
    return None


def _with_scripts(response: Response) -> Response:
    """The page with our script and style at its end; any other answer as it is."""
    if request.endpoint == _INDEX and response.mimetype == "text/html":
        page = response.get_data(as_text=True)
        response.set_data(re.sub("</body>", f"{INJECTED}</body>", page, count=1))
    return response


def _asked_again(response: Response) -> Response:
    """Statistics as they are, but `running` for a test that is being stopped.

    Locust's page asks again only while it reads running or spawning: a test that takes longer to
    stop than the page takes to ask would leave it without its New button (Locust 2.47).
    """
    if request.endpoint == _STATISTICS and response.mimetype == "application/json":
        text = response.get_data()
        if any(f'"{state}"'.encode() in text for state in (STATE_CLEANUP, STATE_STOPPING)):
            statistics = response.get_json()
            if statistics["state"] in (STATE_CLEANUP, STATE_STOPPING):
                response.set_data(jsonify(statistics | {"state": STATE_RUNNING}).get_data())
    return response


def _fields_of(environment: Environment, fixed: Fixed) -> Any:  # noqa: ANN401  a receiver of a signal
    def fields(_app: object, context: dict[str, Any], **_rest: object) -> None:
        arguments = context.get("template_args")
        if isinstance(arguments, dict):
            parsed = vars(environment.parsed_options)
            others = arguments.get("extra_options", {})
            arguments["extra_options"] = form_fields(parsed, others, fixed)

    return fields


def _swarm(environment: Environment, control: Control, fixed: Fixed, start: Any) -> Any:  # noqa: ANN401  views
    """What starts a test: the form is looked through first, and the target looked at."""

    def swarm() -> Response:
        refusal = _refusal(environment, control, fixed)
        if refusal is None:
            return start()
        return jsonify({"success": False, "message": refusal, "host": environment.host})

    return swarm


def _refusal(environment: Environment, control: Control, fixed: Fixed) -> str | None:
    """Why the test cannot start; None where it can."""
    parsed = vars(environment.parsed_options)
    try:
        parsed |= form_values(request.form, fixed)
    except UsageError as error:
        return str(error)
    if not getattr(environment.shape_class, "follows_plan", False):
        return None  # another shape, or none: no run of ours
    if "host" in request.form:
        # As Locust takes it a moment later.
        environment.host = request.form["host"].replace("<", "").replace(">", "")
    return control.prepare_from_page()
