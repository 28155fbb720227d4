"""Events that a replica itself saw, written down: the truth that measurements are checked by."""

import json
import os
import sys
import time
from typing import Annotated, Literal

from pydantic import Field
from ray import cloudpickle, serve

TruthFilePath = Annotated[
    str | None,
    Field(description="File to which replicas append what happens to them; unset means none."),
]
Event = Literal[
    "constructor_entered", "constructor_left", "request", "request_begun", "request_ended"
]


class TruthFile:
    """The file at `path`, to which each replica appends a line of JSON per event; None for none.

    A line has `replica` (Serve's replica_id), `deployment`, `app`, `event`, and `at_s`, the Unix
    time on the replica's machine. A constructor that raises is entered and not left.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._wants_request = path is not None

    def note(self, event: Event) -> None:
        """Append `event` of the replica that this runs in."""
        at_s = time.time()
        if self._path is None:
            return
        me = serve.get_replica_context()
        row = {
            "replica": me.replica_id.unique_id,
            "deployment": me.deployment,
            "app": me.app_name,
            "event": event,
            "at_s": at_s,
        }
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            # All at once: lines of replicas that write at the same time do not mix.
            os.write(file, json.dumps(row).encode() + b"\n")
        finally:
            os.close(file)

    def note_request(self) -> None:
        """Append the first request of this replica; later ones are not written down."""
        if self._wants_request:
            self._wants_request = False
            self.note("request")


# Replicas get this module with the deployment's class, so that they need nothing but Ray.
cloudpickle.register_pickle_by_value(sys.modules[__name__])
