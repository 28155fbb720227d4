"""Locustfile of somebody's own users, with arguments of its own, for the class picker."""

from locust import User, constant, events, task

from scalelag.plugin.attach import attach
from scalelag.users.shape import StepShape

__all__ = ["StepShape"]

attach()


@events.init_command_line_parser.add_listener
def with_own_arguments(parser):
    parser.add_argument("--my-region", default="north", help="Region to load.")
    parser.add_argument("--my-secret", default="s3cret", is_secret=True, help="A key.")


class Reader(User):
    """Does next to nothing."""

    wait_time = constant(0.2)

    @task
    def read(self):
        self.environment.events.request.fire(
            request_type="GET",
            name=f"/{self.environment.parsed_options.my_region}",
            response_time=1.0,
            response_length=0,
            exception=None,
            context={},
        )


class Writer(Reader):
    """The same under another name."""
