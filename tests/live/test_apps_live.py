"""The applications for other protocols answer plain clients through Serve, and tell the truth."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import requests
from ray.serve.generated import serve_pb2, serve_pb2_grpc
from websockets.sync.client import connect

from scalelag.cluster.apps import resolve_app
from scalelag.cluster.deploy import deploy, undeploy
from scalelag.cluster.preflight import Patience, ready_payload

pytestmark = pytest.mark.long

PATIENCE = Patience(150, time.monotonic, time.sleep)
ARGUMENTS = {
    "llm_stream": ["tokens=5", "time_to_first_token_s=0.2", "time_between_tokens_s=0.2"],
    "multiplexed": ["max_models=2", "load_time_s=0.1", "service_time_s=0"],
    # A batch that is not full waits longer than a test may: what is answered was full.
    "batcher": ["max_batch_size=3", "batch_wait_timeout_s=60", "batch_time_s=0.1"],
    "grpc_echo": ["service_time_s=0.1"],
    "websocket_echo": ["service_time_s=0.1"],
}


@pytest.fixture(scope="module")
def urls(cluster, dashboard):
    """The URL of each application, all of them with one replica."""
    apps = []
    for name, arguments in ARGUMENTS.items():
        few = ["max_replicas=1", "num_cpus=0.1", "graceful_shutdown_timeout_s=1"]
        (app,) = resolve_app(name, [*arguments, *few], importable_here=True)
        apps.append(app | {"name": name, "route_prefix": f"/{name}"})
    names = deploy(dashboard, apps)
    try:
        PATIENCE.retry(lambda: ready_payload(dashboard, [], names))
        yield {name: f"{cluster.urls.host}/{name}" for name in names}
    finally:
        undeploy(dashboard, names, PATIENCE)


def read_stream(url, **asked):
    """The lines of a streamed answer, each with when it came."""
    with requests.post(
        f"{url}/v1/chat/completions", json={"stream": True, **asked}, stream=True, timeout=30
    ) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line:
                yield time.time(), line.decode().removeprefix("data: ")


def test_tokens_arrive_one_by_one_and_the_stream_says_when_they_were_sent(urls):
    sent_s = time.time()
    *events, (_, done) = read_stream(urls["llm_stream"])

    chunks = [json.loads(text) for _, text in events]
    words = [chunk["choices"][0]["delta"].get("content") for chunk in chunks]
    assert words == ["t0", " t1", " t2", " t3", " t4", None]
    assert done == "[DONE]"
    truth = chunks[-1]["scalelag"]
    moments_s = [sent_s, truth["received_s"], truth["first_token_s"], events[0][0]]
    assert moments_s == sorted(moments_s)
    # Had Serve or a proxy kept the first tokens back, they would come with the last.
    assert events[0][0] < truth["last_token_s"] <= events[4][0]
    assert truth["tokens"] == 5


def test_a_stream_that_is_closed_half_way_is_broken_for_the_client(urls):
    stream = read_stream(urls["llm_stream"], model="bad-close")
    first, second = next(stream)[1], next(stream)[1]

    assert '"t0"' in first
    assert '" t1"' in second
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        next(stream)


def test_a_model_is_loaded_once_until_two_others_were_asked_for(urls):
    def ask(model):
        headers = {"serve_multiplexed_model_id": model} if model else {}
        return requests.get(urls["multiplexed"], headers=headers, timeout=30).json()

    answers = [ask(model) for model in ("a", "a", "b", "a", None, "b")]
    expected = [
        ("a", True),
        ("a", False),
        ("b", True),
        ("a", False),
        ("default", True),
        ("b", True),
    ]
    assert [(answer["model"], answer["loaded"]) for answer in answers] == expected


def test_requests_share_full_batches(urls):
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda url: requests.get(url, timeout=30), [urls["batcher"]] * 6))

    assert [answer.json() for answer in answers] == [{"batch_size": 3, "slept_s": 0.1}] * 6


@pytest.mark.usefixtures("urls")
def test_grpc_is_answered_on_loopback_only_with_when_it_came(cluster):
    with grpc.insecure_channel(cluster.urls.grpc_host) as channel:
        stub = serve_pb2_grpc.UserDefinedServiceStub(channel)
        message = serve_pb2.UserDefinedMessage(name="hello", num=21)
        sent_s = time.time()
        answer, call = stub.Method1.with_call(
            message, metadata=[("application", "grpc_echo")], timeout=30
        )
        got_s = time.time()

    assert (answer.greeting, answer.num_x2) == ("hello", 42)
    truth = {m.key: float(m.value) for m in call.trailing_metadata() if "scalelag" in m.key}
    received_s, answered_s = truth["scalelag-received-s"], truth["scalelag-answered-s"]
    assert sent_s <= received_s < answered_s <= got_s
    port = int(cluster.urls.grpc_host.rpartition(":")[2])
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.2", port)) != 0


def test_each_message_of_a_websocket_is_answered_with_when_it_came(urls):
    answers = []
    with connect(urls["websocket_echo"].replace("http:", "ws:") + "/any/path") as socket_:
        for text in ("one", "two"):
            sent_s = time.time()
            socket_.send(text)
            answers.append((sent_s, json.loads(socket_.recv(timeout=30)), time.time()))

    assert [answer["echo"] for _, answer, _ in answers] == ["one", "two"]
    for sent_s, answer, got_s in answers:
        assert sent_s <= answer["received_s"] < answer["answered_s"] <= got_s
