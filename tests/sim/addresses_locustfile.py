"""The stepped locustfile, which writes down every address of the page, and every option."""

import json
from pathlib import Path

from flask import redirect
from flask_login import UserMixin
from locust import events

from locustfiles.stepped import SteppedUser, StepShape

__all__ = ["StepShape", "SteppedUser"]


@events.init.add_listener
def write_down(environment, **_rest):
    web_ui = environment.web_ui
    if web_ui is None:
        return
    if web_ui.web_login:
        web_ui.app.secret_key = "of a test"
        web_ui.login_manager.user_loader(lambda _name: UserMixin())
        web_ui.app.add_url_rule("/enter", "enter", lambda: redirect("/"), methods=["POST"])
    rules = [
        (rule.rule, sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))
        for rule in web_ui.app.url_map.iter_rules()
    ]
    options = sorted(vars(environment.parsed_options))
    Path("addresses.json").write_text(json.dumps({"rules": rules, "options": options}))
