"""Logs over HTTP, from a server that serves them as Ray's dashboard does, and as a sick one does."""

import threading
import time

import pytest

from probes.dashboard import Dashboard
from probes.logs.log_files import Limits, LogFile, LogReader, SpentError, UnreadableError
from probes.logs.node_clocks import node_clock
from probes.logs.node_pings import ping_node, ping_numbers
from probes.logs.replica_heads import read_head
from tests.support.servers.log_server import Fault, Node, running_log_server

LOG = LogFile("n1", "serve/replica.log")
NEVER = 10_000_000


@pytest.fixture
def server():
    with running_log_server() as running:
        running.nodes["n1"] = Node()
        yield running


@pytest.fixture
def reading(server):
    """Makes readers with the limits given."""
    opened = []

    def make(**limits):
        opened.append(Dashboard(server.url, time.time))
        ray = "2.44.1" if server.marked else "2.60.0"
        return LogReader(opened[-1], Limits(**limits), time.time, ray)

    yield make
    for dashboard in opened:
        dashboard.close()


def numbered(count, width=0):
    return b"".join(b"line %d%s\n" % (number, b"." * width) for number in range(count))


# --- versions ------------------------------------------------------------------------------------


def test_before_2_45_a_byte_before_each_block_is_taken_off(server, reading):
    """Two blocks and a half, so that marks stand in the middle of lines."""
    server.marked = True
    server.nodes["n1"].files[LOG.name] = numbered(5_000, width=20)
    whole = numbered(5_000, width=20).split(b"\n")[:-1]
    reader = reading()

    with reader.head(LOG, NEVER) as lines:
        assert list(lines) == whole
    assert reader.last(LOG, 4_000) == whole[-4_000:]


def test_before_2_45_an_error_in_an_answer_of_200_is_an_error(server, reading):
    server.marked = True

    with pytest.raises(UnreadableError) as raised, reading().head(LOG, NEVER) as lines:
        list(lines)

    assert str(raised.value) == "there is no such file on the node"


def test_logs_that_ray_cannot_read_itself_for_want_of_a_token_are_asked_for_once(server, reading):
    """2.52 and 2.53 do not show the token to their own agents. The text is theirs."""
    server.faults["*"] = Fault(
        500,
        text="<AioRpcError of RPC that terminated with:\n\tstatus = StatusCode.UNAUTHENTICATED\n"
        '\tdetails = "Unauthenticated"\n>',
    )

    with pytest.raises(SpentError) as raised, reading().head(LOG, NEVER) as lines:
        list(lines)

    assert str(raised.value) == (
        "this version of Ray cannot read its own logs where a token is demanded (Ray 2.54 and later "
        "can)"
    )


# --- heads ---------------------------------------------------------------------------------------


def test_a_head_is_whole_lines_from_the_beginning(server, reading):
    server.nodes["n1"].files[LOG.name] = numbered(3) + b"unfinished"

    with reading().head(LOG, NEVER) as lines:
        assert list(lines) == [b"line 0", b"line 1", b"line 2"]


def test_a_head_ends_at_its_bound_in_bytes(server, reading):
    server.nodes["n1"].files[LOG.name] = numbered(100_000)
    reader = reading()

    with reader.head(LOG, 200_000) as lines:
        found = list(lines)

    assert found == numbered(100_000).split(b"\n")[: len(found)]
    assert 200_000 <= reader.bytes_read < 300_000


def test_what_follows_a_head_left_early_is_an_answer_of_its_own(server, reading):
    server.nodes["n1"].files[LOG.name] = numbered(100_000)
    server.nodes["n1"].files["serve/other.log"] = b"other\n"
    reader = reading()

    for _ in range(3):
        with reader.head(LOG, NEVER) as lines:
            assert next(lines) == b"line 0"
        with reader.head(LogFile("n1", "serve/other.log"), NEVER) as lines:
            assert list(lines) == [b"other"]


def test_a_line_without_an_end_is_not_kept(server, reading):
    server.nodes["n1"].files[LOG.name] = b"x" * 5_000_000 + b"\nlast\n"

    with reading().head(LOG, NEVER) as lines:
        found = list(lines)

    assert found[-1] == b"last"
    assert sum(map(len, found)) < 2_000_000


# --- tails ---------------------------------------------------------------------------------------


def back_to(number):
    return lambda line: int(line.split()[1].rstrip(b".")) < number


def test_a_tail_goes_back_until_it_is_enough(server, reading):
    server.nodes["n1"].files[LOG.name] = numbered(100_000)

    tail = reading().tail(LOG, NEVER, back_to(95_000))

    first = int(tail.lines[0].split()[1])
    assert (first < 95_000, tail.lines[-1], tail.whole) == (True, b"line 99999", False)


def test_the_tail_of_a_short_log_is_all_of_it(server, reading):
    server.nodes["n1"].files[LOG.name] = numbered(10)

    tail = reading().tail(LOG, NEVER, back_to(0))

    assert (len(tail.lines), tail.whole) == (10, True)


def test_a_tail_ends_at_its_bound_and_keeps_the_end(server, reading):
    server.nodes["n1"].files[LOG.name] = numbered(100_000, 100)

    tail = reading().tail(LOG, 1_000_000, back_to(0))

    assert (tail.lines[-1].startswith(b"line 99999"), tail.whole) == (True, False)
    assert 500_000 < sum(map(len, tail.lines)) <= 1_000_000


def test_of_enormous_lines_the_last_ones_are_kept(server, reading):
    server.nodes["n1"].files[LOG.name] = numbered(3000, 10_000)

    tail = reading().tail(LOG, 1_000_000, back_to(0))

    assert (tail.lines[-1].startswith(b"line 2999"), tail.whole) == (True, False)
    assert len(tail.lines) > 25


def test_a_last_line_beyond_the_bound_is_refused(server, reading):
    server.nodes["n1"].files[LOG.name] = numbered(3, 1_000_000)

    with pytest.raises(UnreadableError, match="its last line is more than 100000 bytes"):
        reading().tail(LOG, 100_000, back_to(0))


def test_an_empty_log_and_empty_lines(server, reading):
    server.nodes["n1"].files[LOG.name] = b""
    assert reading().tail(LOG, NEVER, lambda _: False).lines == []

    server.nodes["n1"].files[LOG.name] = b"\n" * 50_000
    assert len(reading().tail(LOG, 100_000, lambda _: False).lines) == 50_000


# --- names ---------------------------------------------------------------------------------------


def test_what_was_rotated_out_comes_newest_first(server, reading):
    names = ["x.log", "x.log.1", "x.log.10", "x.log.2", "x.log.gz", "y.log.1"]
    server.nodes["n1"].files = {f"serve/{name}": b"" for name in names}

    found = reading().rotated(LogFile("n1", "serve/x.log"))

    assert [log.name for log in found] == ["serve/x.log.1", "serve/x.log.2", "serve/x.log.10"]


@pytest.mark.parametrize("body", ["", "[]", '{"data": 5}', '{"data": {"result": []}}'])
def test_a_listing_that_makes_no_sense_is_refused(server, reading, body):
    server.faults["*"] = Fault(status=200, text=body)

    with pytest.raises(UnreadableError, match="its list of logs cannot be parsed"):
        reading().names("n1", "*")


def test_a_listing_of_other_things_names_nothing(server, reading):
    server.faults["*"] = Fault(status=200, text='{"data": {"result": {"a": [7], "b": "x"}}}')

    assert reading().names("n1", "*") == []


# --- what goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (LogFile("n1", "serve/gone.log"), "there is no such file on the node"),
        (LogFile("n9", "serve/x.log"), "the node is gone, or no dashboard agent runs on it"),
    ],
)
def test_a_log_that_is_not_there(reading, log, reason):
    with pytest.raises(UnreadableError, match=reason):
        reading().tail(log, NEVER, lambda _: False)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_dashboard_that_gives_no_logs_is_asked_once(server, reading, status):
    server.faults["*"] = Fault(status=status)
    reader = reading()

    with pytest.raises(SpentError, match=f"HTTP {status}"):
        reader.tail(LOG, NEVER, lambda _: False)


def test_an_error_of_the_dashboard_is_told_in_its_words(server, reading):
    server.faults["*"] = Fault(status=500, text="Failed to reach the agent: deadline exceeded")

    with pytest.raises(UnreadableError, match="HTTP 500: Failed to reach the agent"):
        reading().tail(LOG, NEVER, lambda _: False)


@pytest.mark.parametrize("fault", [Fault(hang=True), Fault(hang=True, after_bytes=1)])
def test_silence_is_a_time_out_also_in_the_middle(server, reading, fault):
    server.nodes["n1"].files[LOG.name] = numbered(100_000)
    server.faults[LOG.name] = fault

    with pytest.raises(UnreadableError, match="no answer in time"):
        reading(read_timeout_s=0.1).tail(LOG, NEVER, lambda _: False)


def test_a_connection_lost_in_the_middle_loses_that_log_only(server, reading):
    server.nodes["n1"].files[LOG.name] = numbered(100_000)
    server.nodes["n1"].files["serve/other.log"] = b"other\n"
    server.faults[LOG.name] = Fault(drop=True, after_bytes=1)
    reader = reading()

    with pytest.raises(UnreadableError), reader.head(LOG, NEVER) as lines:
        list(lines)

    assert reader.last(LogFile("n1", "serve/other.log"), 5) == [b"other"]


def test_a_silent_node_is_left_alone_and_others_are_read(server, reading):
    server.nodes["n2"] = Node(files={LOG.name: b"here\n"})
    server.faults["n1"] = Fault(hang=True)
    reader = reading(read_timeout_s=0.1)

    for _ in range(5):
        with pytest.raises(UnreadableError):
            reader.last(LOG, 5)

    assert reader.last(LogFile("n2", LOG.name), 5) == [b"here"]
    assert len([query for _, query in server.requests if query["node_id"] == "n1"]) == 2


def test_three_time_outs_in_a_row_end_it(server, reading):
    server.faults["*"] = Fault(hang=True)
    reader = reading(read_timeout_s=0.1)

    for node in ("n1", "n2"):
        with pytest.raises(UnreadableError):
            reader.last(LogFile(node, "x.log"), 5)
    with pytest.raises(SpentError, match="no answer in time, 3 times in a row"):
        reader.last(LogFile("n3", "x.log"), 5)


def test_the_time_for_all_logs_is_bounded(server, reading):
    clock = [0.0]
    server.nodes["n1"].files[LOG.name] = numbered(100_000)
    dashboard = Dashboard(server.url, time.time)
    reader = LogReader(dashboard, Limits(total_s=30), lambda: clock[0])

    with reader.head(LOG, NEVER) as lines:
        next(lines)
        clock[0] = 31.0
        with pytest.raises(SpentError, match="longer than 30 s"):
            list(lines)
    with pytest.raises(SpentError):
        reader.last(LOG, 5)
    dashboard.close()


def test_the_bytes_of_all_logs_are_bounded(server, reading):
    server.nodes["n1"].files[LOG.name] = numbered(100_000)
    reader = reading(total_bytes=500_000)

    with pytest.raises(SpentError, match=r"0\.5 MB"), reader.head(LOG, NEVER) as lines:
        list(lines)


def test_a_log_that_drips_is_left_when_the_time_is_over(server, reading):
    def drip():
        while True:
            yield b"drop\n"
            time.sleep(0.02)

    server.nodes["n1"].files[LOG.name] = drip
    begun_s = time.monotonic()

    with pytest.raises(SpentError), reading(total_s=0.3).head(LOG, NEVER) as lines:
        list(lines)

    assert time.monotonic() - begun_s < 5


# --- large logs ----------------------------------------------------------------------------------


def endless_log():
    """200 MB of a replica's log, made as it is sent."""
    head = "INFO 2026-11-22 19:38:52,691 default_Fast kmix3tav"
    yield (
        f"{head} -- Started initializing replica.\n{head} -- Finished initializing replica.\n"
    ).encode()
    access = f"{head} 9f67b640-29de-4747-b4b5-e90fb45aa30a -- GET / 200 106.8ms\n".encode()
    piece = access * (65536 // len(access))
    for _ in range(200_000_000 // len(piece)):
        yield piece


def test_of_a_log_of_200_mb_only_the_head_is_fetched(server, reading):
    server.nodes["n1"].files[LOG.name] = endless_log
    reader = reading()

    lines, missing = read_head(reader, LOG, Limits())

    assert [line.kind for line in lines] == ["init_entered", "init_done", "first_request"]
    assert missing is None
    assert reader.bytes_read < 500_000
    # What the kernel took from the server and nobody read is bounded by its buffers.
    assert server.sent[LOG.name] < 20_000_000


def test_several_logs_of_200_mb_leave_no_connection_behind(server, reading):
    server.nodes["n1"].files[LOG.name] = endless_log
    reader = reading()

    for _ in range(5):
        read_head(reader, LOG, Limits())

    handling = [thread for thread in threading.enumerate() if "process_request" in thread.name]
    assert len(handling) <= 5


# --- clocks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("theta_s", [0.0, 5.25, -12600.0, 3600.0 + 131.0])
def test_a_node_is_asked_what_time_it_is(server, reading, theta_s):
    server.nodes["n1"].theta_s = theta_s
    server.nodes["n1"].files["dashboard_agent.log"] = numbered(500)

    pings = ping_node(reading(), "n1", time.time, ping_numbers())

    assert len(pings) == 2
    clock = node_clock("n1", [ping.bound for ping in pings])
    assert abs(clock.offset_s - theta_s) <= clock.error_s


def test_a_node_that_notes_nothing_tells_nothing(server, reading):
    server.nodes["n1"].notes = False

    assert ping_node(reading(), "n1", time.time, ping_numbers()) == []


def test_nodes_that_share_a_folder_of_logs_are_told_apart(server, reading):
    near, far = Node(theta_s=0.0), Node(theta_s=19800.0, agent_log="dashboard_agent.1.log")
    far.files = near.files
    server.nodes = {"near": near, "far": far}
    reader, numbers = reading(), ping_numbers()

    for node, theta_s in {"near": 0.0, "far": 19800.0}.items():
        pings = ping_node(reader, node, time.time, numbers)
        clock = node_clock(node, [ping.bound for ping in pings])
        assert abs(clock.offset_s - theta_s) <= clock.error_s
        assert len(pings) == 2
