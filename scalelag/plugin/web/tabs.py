"""Our tabs, and our form in place of Locust's, on Locust's own page."""

import re
from functools import partial
from pathlib import Path
from typing import Any

from flask import Response, before_render_template, jsonify, request
from locust.runners import STATE_CLEANUP, STATE_INIT, STATE_RUNNING, STATE_STOPPED, STATE_STOPPING
from locust.web import WebUI

from scalelag.cluster.urls import hide_credentials
from scalelag.console import say
from scalelag.plugin.leader.lifecycle import Lifecycle
from scalelag.plugin.web.start import Start
from scalelag.record.secrets import hide_body_secrets, hide_url_secrets

TABS = (
    {"title": "Replicas", "key": "scalelag-replicas", "component": "scalelag-replicas"},
    {"title": "Lag report", "key": "scalelag-report", "component": "scalelag-report"},
)
_TABS_HTML = (
    '<link rel="stylesheet" href="./scalelag/static/scalelag.css">'
    # Not a module: it must run before Locust's own script.
    '<script src="./scalelag/static/first_tab.js"></script>'
    '<script type="module" src="./scalelag/static/elements.js"></script>'
)
_FORM_HTML = '<script type="module" src="./scalelag/static/locust.js"></script>'
_INDEX = "locust.index"
_SWARM = "locust.swarm"
_USER = "locust.update_user"
_STATISTICS = "locust.request_stats"


def add_tabs(web_ui: WebUI, lifecycle: Lifecycle, start: Start, url: str) -> None:
    """Add tabs and form. If this Locust has no place for tabs, say at which `url` the page is."""
    app: Any = web_ui.app
    if _SWARM in app.view_functions:
        guarded = start.guard(app.view_functions[_SWARM])
        app.view_functions[_SWARM] = web_ui.auth_required_if_enabled(guarded)
    if _USER in app.view_functions:
        guarded = start.guard_users(app.view_functions[_USER])
        app.view_functions[_USER] = web_ui.auth_required_if_enabled(guarded)
    missing = missing_mechanism(web_ui)
    if missing is not None:
        say(f"this Locust shows no tabs of ours ({missing}): watch the replicas on {url}")
        return
    tabs: list[dict[str, str]] = web_ui.template_args.setdefault("extended_tabs", [])
    tabs.extend(TABS)
    html = _TABS_HTML + (_FORM_HTML if start.has_form else "")
    app.after_request(partial(_with_html, html=html))
    app.after_request(partial(_statistics, lifecycle=lifecycle))
    # Held by the signal only weakly otherwise.
    before_render_template.connect(_state_receiver(lifecycle), app, weak=False)


def missing_mechanism(web_ui: WebUI) -> str | None:
    """Describe what this Locust lacks to show a tab; None if it has all of it.

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


def _with_html(response: Response, html: str) -> Response:
    """Put `html` at the end of Locust's page; leave any other answer as it is."""
    if request.endpoint == _INDEX and response.mimetype == "text/html":
        page = response.get_data(as_text=True)
        response.set_data(re.sub("</body>", f"{html}</body>", page, count=1))
    return response


def _statistics(response: Response, lifecycle: Lifecycle) -> Response:
    """Give the statistics the state that Locust's page has to see."""
    if request.endpoint == _STATISTICS and response.mimetype == "application/json":
        statistics = response.get_json()
        state = state_on_page(statistics["state"], lifecycle)
        if state != statistics["state"]:
            response.set_data(jsonify(statistics | {"state": state}).get_data())
    return response


def _state_receiver(lifecycle: Lifecycle) -> Any:  # noqa: ANN401  a receiver of a signal
    def receive(_app: object, context: dict[str, Any], **_rest: object) -> None:
        arguments = context.get("template_args")
        if isinstance(arguments, dict) and "state" in arguments:
            arguments["state"] = state_on_page(arguments["state"], lifecycle)
            # The page holds all of them in its source.
            context["template_args"] = _without_secrets(arguments)

    return receive


def _without_secrets(value: Any) -> Any:  # noqa: ANN401  arguments of Locust's page
    """Return `value` without what no record shows: passwords in URLs, secrets in paths and bodies."""
    if isinstance(value, str):
        return hide_body_secrets(hide_url_secrets(hide_credentials(value)))
    if isinstance(value, dict):
        return {name: _without_secrets(one) for name, one in value.items()}
    return [_without_secrets(one) for one in value] if isinstance(value, list | tuple) else value


def state_on_page(state: str, lifecycle: Lifecycle) -> str:
    """State of Locust's runner as its page has to see it: `running` for some that are not.

    The page asks again only while it reads running or spawning. A test that takes longer to stop than
    the page takes to ask would leave it without its New button. A test that we have accepted, and
    that Locust has not begun yet, would leave it with the form (Locust 2.47).
    """
    stops = state in (STATE_CLEANUP, STATE_STOPPING)
    begins = state in (STATE_INIT, STATE_STOPPED) and lifecycle.is_starting
    return STATE_RUNNING if stops or begins else state
