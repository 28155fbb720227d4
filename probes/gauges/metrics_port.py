"""One GET of a node's metrics port: no token, no redirect, no proxy, and bounded in time and size."""

from collections.abc import Callable
from typing import Final

import requests
import urllib3

from probes.bounded import pieces_in_time
from probes.gauges.exposition import GaugesError, Sample, read_samples
from scalelag.record.rows import NO_ANSWER_IN_TIME

_CONNECT_TIMEOUT_S: Final = 1.0
_READ_TIMEOUT_S: Final = 2.0
_WHOLE_S: Final = 5.0
_HEADERS: Final = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "identity"}


class MetricsPorts:
    """HTTP client for metrics ports; one request at a time.

    Environment variables add nothing to its requests: neither a proxy, nor what a .netrc has.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._session = requests.Session()
        self._session.trust_env = False

    def read(self, address: str) -> list[Sample]:
        """Return Serve's gauges of the port at `address`, HOST:PORT.

        Raises GaugesError, with a reason that is the same each time, if it gives none.
        """
        try:
            answer = self._session.get(
                f"http://{address}/metrics",
                headers=_HEADERS,
                timeout=(_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S),
                allow_redirects=False,
                stream=True,
            )
            with answer:
                if answer.status_code != 200:
                    raise GaugesError(f"HTTP {answer.status_code}")
                return read_samples(pieces_in_time(answer, self._now, _WHOLE_S))
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            raise GaugesError(_reason(error)) from error

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def _reason(error: Exception) -> str:
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"no connection within {_CONNECT_TIMEOUT_S:.0f} s"
    if isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.ReadTimeoutError):
        return NO_ANSWER_IN_TIME
    if "Connection refused" in str(error):
        return "connection refused"
    if isinstance(error, requests.exceptions.ConnectionError | urllib3.exceptions.ProtocolError):
        return "connection lost"
    return type(error).__name__
