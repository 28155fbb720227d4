"""A dashboard over https: its certificate is checked, unless one says otherwise."""

import datetime as dt
import ipaddress
import json
import ssl
import threading
import time
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

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
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that signs itself, with its key: two files."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"


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
