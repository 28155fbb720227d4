"""gRPC: which applications need it, at which address, and where the embedded cluster listens."""

import asyncio
import os
import re
import socket
from pathlib import Path

import pytest
from ray.serve._private import default_impl
from ray.serve._private.grpc_util import start_grpc_server

from scalelag.cluster import embedded_main
from scalelag.cluster.apps import grpc_servicers
from scalelag.errors import UsageError
from scalelag.options.run_options import run_options

SERVICER = "ray.serve.generated.serve_pb2_grpc.add_UserDefinedServiceServicer_to_server"


@pytest.mark.parametrize("name", ["grpc_echo", "serve_apps.grpc_echo:app"])
def test_an_application_of_ours_brings_its_servicers(name: str):
    assert grpc_servicers(name) == (SERVICER,)


@pytest.mark.parametrize("name", ["sleeper", "my_app:app"])
def test_other_applications_need_none(name: str):
    assert grpc_servicers(name) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("grpc_options: {port: 9000, grpc_servicer_functions: [a.b, c.d]}", ("a.b", "c.d")),
        ("grpc_options: {port: 9000}", ()),
        ("grpc_options:", ()),
        ("applications: []", ()),
        ("- a list", ()),
    ],
)
def test_a_config_file_brings_those_it_names(tmp_path: Path, text: str, expected: tuple[str, ...]):
    path = tmp_path / "serve.yaml"
    path.write_text(text, encoding="utf-8")

    assert grpc_servicers(str(path)) == expected


@pytest.mark.parametrize(
    "text",
    ["grpc_options: 9000", "grpc_options: {grpc_servicer_functions: a.b}"],
)
def test_a_config_file_with_other_grpc_options_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "serve.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(UsageError, match=r"serve\.yaml: grpc_servicer_functions in grpc_options"):
        grpc_servicers(str(path))


@pytest.mark.parametrize("given", ["127.0.0.1:9000", "serve.example:443", "[::1]:9000"])
def test_an_address_is_taken_as_it_is(given: str):
    assert run_options({"grpc_host": given}).grpc_host == given


@pytest.mark.parametrize("given", [None, ""])
def test_without_an_address_there_is_none(given: str | None):
    assert run_options({"grpc_host": given}).grpc_host is None


@pytest.mark.parametrize(
    "given", ["9000", ":9000", "localhost", "localhost:http", "h:0", "h:65536", "http://h:9000"]
)
def test_what_is_no_address_is_refused(given: str):
    with pytest.raises(UsageError, match=re.escape(f'--grpc-host: "{given}": an address reads')):
        run_options({"grpc_host": given})


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("no_such_module.add", "no_such_module.add can't be imported"),
        ("os.path.no_such_function", "no_such_function"),
        ("os.path.sep", "os.path.sep is not a callable function"),
    ],
)
def test_a_servicer_function_that_is_not_there_is_named(function: str, message: str):
    with pytest.raises(SystemExit, match=f"grpc_servicer_functions: .*{re.escape(message)}"):
        embedded_main._grpc_options([function])


def test_the_grpc_server_of_the_embedded_cluster_listens_on_loopback_only(monkeypatch):
    monkeypatch.setattr(default_impl, "add_grpc_address", default_impl.add_grpc_address)
    monkeypatch.setattr("os.environ", dict(os.environ))
    embedded_main.grpc_on_loopback()

    async def reachable_at() -> list[str]:
        options = embedded_main._grpc_options([SERVICER])
        loop = asyncio.get_running_loop()
        # As Serve's proxy starts it; at [::], which Serve asks for, it would answer at both.
        ended, server = await start_grpc_server(lambda **_: None, options, event_loop=loop)
        try:
            return [host for host in ("127.0.0.1", "127.0.0.2") if answers(host, options.port)]
        finally:
            await server.stop(None)
            await ended

    assert asyncio.run(reachable_at()) == ["127.0.0.1"]


def answers(host: str, port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((host, port)) == 0
