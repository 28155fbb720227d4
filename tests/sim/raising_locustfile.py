"""Locustfile of a user whose task raises after each request that was answered well."""

from locust import User, constant, task

from scalelag.users import StepShape, attach

__all__ = ["StepShape"]

attach()


class Careless(User):
    """Expects an answer that no server gives."""

    wait_time = constant(0.2)

    @task
    def ask(self):
        self.environment.events.request.fire(
            request_type="GET",
            name="/ask",
            response_time=1.0,
            response_length=0,
            exception=None,
            context={},
        )
        raise KeyError("http://me:s3cret@host/answer")
