"""Locust as it comes, to compare with: `locust -f plain_users.py FastUser` or `RequestsUser`."""

from locust import FastHttpUser, HttpUser, task

from benchmarks.server import PATH


class FastUser(FastHttpUser):
    """Sends its next request as soon as the last one is answered."""

    @task
    def request(self) -> None:
        """Send one request."""
        self.client.get(PATH)


class RequestsUser(HttpUser):
    """The same with Locust's other client, which is python-requests."""

    @task
    def request(self) -> None:
        """Send one request."""
        self.client.get(PATH)
