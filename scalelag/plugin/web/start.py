"""A start from Locust's page: the form as it stands, and the check of a form that was sent."""

import os
from collections.abc import Collection, Mapping
from typing import Annotated, Any

import msgspec
from flask import Response, jsonify, make_response, request
from locust import LoadTestShape, User
from locust.env import Environment
from locust.web import WebUI

from scalelag.cluster.urls import hide_credentials, without_credentials
from scalelag.console import say
from scalelag.errors import UNREADABLE, ScalelagError, UsageError
from scalelag.options.run_options import run_options
from scalelag.plan.stages import MAX_USERS
from scalelag.plugin.leader.lifecycle import Lifecycle
from scalelag.plugin.leader.shapes import follows_plan, own_shape_name
from scalelag.plugin.web.form import LocustForm, Section, label_of, sections
from scalelag.plugin.web.form_values import (
    Refusal,
    check_names,
    fixed_options,
    form_values,
    in_words,
    refusal_of,
    sends_secrets,
)
from scalelag.plugin.web.locust_fields import locust_refusal

NO_SHAPE = "Default"
"""Locust's name of no shape, in a form with the class picker."""


_Number = Annotated[float, msgspec.Meta(ge=0, le=MAX_USERS)]


class _UserSettings(msgspec.Struct, forbid_unknown_fields=True):
    """Settings of a user class on Locust's page. Locust itself sets any attribute to anything."""

    user_class_name: str
    host: str | None = None
    weight: _Number = 0
    fixed_count: _Number = 0
    tasks: list[str] | str = ""


def _user_settings(body: bytes) -> _UserSettings | None:
    """Return the settings in a request; None if they are not what the page sends."""
    try:
        return msgspec.json.decode(body, type=_UserSettings)
    except UNREADABLE:
        return None


class ShapeChoice(msgspec.Struct, frozen=True):
    """A load shape that can be chosen with Locust's class picker."""

    name: str
    follows_plan: bool


class StartPage(msgspec.Struct, frozen=True):
    """Content of the start form; `shapes` is empty without Locust's class picker."""

    sections: list[Section]
    shapes: list[ShapeChoice]
    refusal: str | None


class Start:
    """Describes the start form, and stands before Locust's own start of a test."""

    def __init__(self, web_ui: WebUI, environment: Environment, lifecycle: Lifecycle) -> None:
        self._web_ui = web_ui
        self._environment = environment
        self._lifecycle = lifecycle
        parsed = vars(environment.parsed_options)
        self._fixed = fixed_options(parsed, os.environ)
        host = environment.host or ""
        has_secret = sends_secrets(parsed) or hide_credentials(host) != host
        self._only_host = host if has_secret else ""

    @property
    def has_form(self) -> bool:
        """True if a test that follows the load plan can be started from the page."""
        return any(shape.follows_plan for shape in self._shapes()) or follows_plan(
            self._environment.shape_class
        )

    def page(self) -> StartPage:
        """Return the form with the values of the last test, and the reason if its start was refused."""
        self._web_ui.update_template_args()
        shown = self._web_ui.template_args
        profiles = shown.get("all_profiles") or shown.get("allProfiles") or ()
        locust = LocustForm(
            host=shown["host"],
            profile=shown["profile"] or "",
            profiles=tuple(map(str, profiles)),
            users=shown["num_users"] or 1,
            spawn_rate=shown["spawn_rate"] or 1,
            run_time=str(shown["run_time"] or ""),
            extra_options=shown["extra_options"],
        )
        parsed = vars(self._environment.parsed_options)
        problem = self._lifecycle.web_runs.refusal
        refusal = in_words(problem, label_of) if problem else None
        return StartPage(
            sections(parsed, locust, self._fixed, is_host_fixed=bool(self._only_host)),
            self._shapes(),
            refusal,
        )

    def waiting_text(self) -> str:
        """Say what a start waits for, and for how long at most."""
        options = vars(self._environment.parsed_options)
        return (
            f"Waiting for {hide_credentials(self._environment.host or 'the host')} and the dashboard "
            f"{without_credentials(options['dashboard'])} to answer, for at most "
            f"{options['wait']:g} s."
        )

    def _shapes(self) -> list[ShapeChoice]:
        if not self._web_ui.userclass_picker_is_active:
            return []
        known = self._environment.available_shape_classes or {}
        found = [ShapeChoice(name, follows_plan(shape)) for name, shape in sorted(known.items())]
        return [ShapeChoice(NO_SHAPE, follows_plan=False), *found]

    def guard(self, start: Any) -> Any:  # noqa: ANN401  views of Flask
        """Return a view that checks the form, and the target, before `start` starts a test."""

        def swarm() -> Response:
            refusal = self._refusal()
            if refusal is None:
                return self._started(start)
            told = {"success": False, "host": hide_credentials(self._environment.host or "")}
            return jsonify(told | msgspec.to_builtins(refusal))

        return swarm

    def guard_users(self, update: Any) -> Any:  # noqa: ANN401  views of Flask
        """Return a view that checks new settings of a user class before `update` takes them."""

        def user() -> Response:
            settings = _user_settings(request.get_data())
            if settings is None or settings.user_class_name not in self._known_classes:
                return make_response("Settings of a user class: see the page.", 400)
            try:
                self._check_host(settings.host or None)
            except UsageError as error:
                return make_response(str(error), 400)
            return make_response(update())

        return user

    @property
    def _known_classes(self) -> Collection[str]:
        return self._environment.available_user_classes or {}

    def _started(self, start: Any) -> Response:  # noqa: ANN401  a view of Flask
        """Answer of Locust's own start; a run that it refuses is dropped again."""
        is_started, host = False, self._environment.host
        try:
            answer = make_response(start())
            if self._environment.host == hide_credentials(host or ""):
                self._environment.host = host  # Locust has taken it from the form
            is_started = bool((answer.get_json(silent=True) or {}).get("success"))
        finally:
            if not is_started:
                self._lifecycle.drop_start()
        return answer

    def _refusal(self) -> Refusal | None:
        """Reason why the test cannot start, if there is one; then nothing of the form is taken."""
        parsed = vars(self._environment.parsed_options)
        extra = self._web_ui.template_args["extra_options"]
        try:
            check_names(request.form, parsed, extra)
            form = form_values(request.form, self._fixed)
            self._check_host(request.form.get("host"))
        except UsageError as error:
            return self._in_words(str(error), parsed, None)
        if (refusal := locust_refusal(request.form, extra, parsed)) is not None:
            return refusal
        wanted = parsed | form
        shape = self._chosen_shape()
        if not follows_plan(shape):
            parsed.update(form)
            return None  # another shape, or none: no run of ours
        host = request.form.get("host")
        host = None if host is None else self._whole_host(host)
        problem = self._misfit(shape, wanted) or self._lifecycle.prepare_for_page(form, host)
        return None if problem is None else self._in_words(problem, wanted, host)

    def _whole_host(self, shown: str) -> str:
        """Return the host of a form; the form shows the one in force without its password."""
        shown = shown.replace("<", "").replace(">", "")  # as Locust takes it a moment later
        there = self._environment.host or ""
        return there if shown == hide_credentials(there) else shown

    def _check_host(self, shown: str | None) -> None:
        """Raise UsageError for another host than the one that the secrets of requests are for."""
        if self._only_host and shown is not None and self._whole_host(shown) != self._only_host:
            raise UsageError(
                "--host: the requests carry a secret of this machine, and this page sends it to no "
                "other host than the one given on the command line."
            )

    def _misfit(self, shape: Any, parsed: Mapping[str, Any]) -> str | None:  # noqa: ANN401  a shape of ours
        """Reason why the chosen users cannot follow the plan, if there is one."""
        try:
            plan = run_options(parsed, shape=own_shape_name(shape)).plan
        except ScalelagError:
            return None  # found again, and reported, when the run is prepared
        try:
            shape.senders(plan, self._chosen_classes())
        except UsageError as error:
            say(str(error))
            return str(error)
        return None

    def _chosen_shape(self) -> LoadTestShape | None:
        if not self._web_ui.userclass_picker_is_active:
            return self._environment.shape_class
        known = self._environment.available_shape_classes or {}
        return known.get(request.form.get("shape_class", NO_SHAPE))

    def _chosen_classes(self) -> list[type[User]]:
        classes: Any = self._environment.user_classes  # Locust says instances
        if not self._web_ui.userclass_picker_is_active:
            return classes
        known: Any = self._environment.available_user_classes or {}
        chosen = request.form.getlist("user_classes") or list(known)
        return [known[name] for name in chosen if name in known]

    def _in_words(self, problem: str, parsed: Mapping[str, Any], host: str | None) -> Refusal:
        """Return the refusal in the words of the form; `host` is that of a form that was sent."""
        host = host or self._environment.host or ""
        values = [("deployments", key) for key in parsed.get("deployment") or ()]
        values += [("dashboard", str(parsed.get("dashboard"))), ("host", host)]
        return refusal_of(problem, label_of, values)
