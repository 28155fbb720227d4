"""The port that a Prometheus server scrapes, served by the load process beside its work."""

from collections.abc import Callable, Mapping
from ipaddress import ip_address

from gevent.pywsgi import WSGIServer
from prometheus_client import CollectorRegistry, make_wsgi_app

from scalelag.cluster.listening import ListenAddress, check_free
from scalelag.plugin.exporter.figures import RunFigures
from scalelag.plugin.leader.run import LeaderRun
from scalelag.plugin.web.guard import Door, own_names

FLAG = "--prometheus-port"


class Exporter:
    """Serves the figures of the process's last run, as `run` returns it, until the process ends.

    No web page may read them, also not by a name of its own that it points at this machine.
    """

    def __init__(self, run: Callable[[], LeaderRun | None], environ: Mapping[str, str]) -> None:
        self._environ = environ
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
        # From other machines it is scraped by any name: such a network is to be trusted.
        names = own_names(address.host, self._environ) if _is_local(address.host) else None
        app = Door(make_wsgi_app(self._registry), names)
        self._server = WSGIServer((address.host, address.port), app, log=None)
        self._server.start()


def _is_local(host: str) -> bool:
    """Return whether only this machine reaches `host`; of names `localhost` alone is known to be so."""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host.lower() == "localhost"
