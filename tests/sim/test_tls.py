"""A dashboard over https: its certificate is checked, unless one says otherwise."""

import json
import ssl
import threading
import time
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from probes.dashboard import VERSION_PATH, Dashboard, DashboardError
from scalelag.cluster.preflight import check_endpoint, ray_version


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"ray_version": "2.60.0"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        """Say nothing."""


@pytest.fixture(scope="module")
def url(certificate):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_certificate_of_an_unknown_authority_is_refused_with_a_way_out(url):
    with pytest.raises(DashboardError, match=r"certificate not trusted.*--dashboard-ca"):
        Dashboard(url, time.time).get(VERSION_PATH)


@pytest.mark.long
def test_a_certificate_of_the_authority_that_was_named_is_accepted(url, certificate):
    assert ray_version(Dashboard(url, time.time, verify=str(certificate[0]))) == "2.60.0"


@pytest.mark.long
def test_insecure_accepts_any_certificate_without_a_warning_for_each_request(url):
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        assert ray_version(Dashboard(url, time.time, verify=False)) == "2.60.0"
        check_endpoint(url)
