"""The port that a Prometheus server scrapes, served by the load process beside its work."""

from collections.abc import Callable

from gevent.pywsgi import WSGIServer
from prometheus_client import CollectorRegistry, make_wsgi_app

from scalelag.cluster.listening import ListenAddress, check_free
from scalelag.plugin.exporter.figures import RunFigures
from scalelag.plugin.leader.run import LeaderRun

FLAG = "--prometheus-port"


class Exporter:
    """Serves the figures of the process's last run, as `run` returns it, until the process ends."""

    def __init__(self, run: Callable[[], LeaderRun | None]) -> None:
        # A registry of its own: Ray's and Locust's metrics are not ours.
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(RunFigures(run))
        self._server: WSGIServer | None = None

    def open(self, address: ListenAddress | None) -> None:
        """Listen at `address`, once a process: one run is shown after the other.

        Raises UsageError if the port is taken, or is none of this machine's.
        """
        if address is None or self._server is not None:
            return
        check_free(address, FLAG)
        app = make_wsgi_app(self._registry)
        self._server = WSGIServer((address.host, address.port), app, log=None)
        self._server.start()
