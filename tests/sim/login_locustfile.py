"""The stepped locustfile with a login: POST a name to /enter."""

from flask import redirect, request
from flask_login import UserMixin, login_user
from locust import events

from locustfiles.stepped import SteppedUser, StepShape

__all__ = ["StepShape", "SteppedUser"]


class _Somebody(UserMixin):
    def get_id(self):
        return "somebody"


@events.init.add_listener
def with_login(environment, **_rest):
    web_ui = environment.web_ui
    if web_ui is None:
        return
    web_ui.app.secret_key = "of a test"
    web_ui.login_manager.user_loader(lambda _name: _Somebody())
    web_ui.auth_args = {"username_password_callback": "./enter"}

    @web_ui.app.route("/enter", methods=["POST"])
    def enter():
        assert request.form
        login_user(_Somebody())
        return redirect("/")
