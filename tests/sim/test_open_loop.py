"""The open loop, with scripted requests in place of real ones."""

import itertools
import time

import gevent
import gevent.event
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalelag.users.engine.open_loop import Arrival, OpenLoop
from scalelag.users.engine.timer import Alarm

GRACE_S = 0.2


class Sending:
    """Records the calls of an open loop; `script` acts as the request with a given number."""

    def __init__(self, script=lambda _number: None, *, records=True):
        self.script = script
        self.records = records
        self.sent, self.odd, self.refused, self.left = [], [], [], []
        self.late, self.without = [], []

    def send(self):
        arrival = gevent.getcurrent()
        number = len(self.sent)
        self.sent.append((arrival.intended_s, time.monotonic()))
        self.script(number)
        arrival.recorded = self.records

    def ended_oddly(self, arrival, raised):
        self.odd.append((arrival.intended_s, raised))

    def not_sent(self, intended_s, _number, *, was_late):
        self.refused.append(intended_s)
        if was_late:
            self.late.append(intended_s)

    def unfinished(self, arrival):
        self.left.append(arrival.intended_s)

    def without_turn(self, intended_s):
        self.without.append(intended_s)

    @property
    def intended_s(self):
        return [intended_s for intended_s, _ in self.sent]


def run(
    sending, offsets, *, room=100, timeout_s=5.0, line_of=None, stop_after_s=None, grace_s=GRACE_S
):
    """Due times of `offsets` from now, after an open loop has had them."""
    stop = gevent.event.Event()
    begun_s = time.monotonic() + 0.05
    due_s = [begun_s + offset_s for offset_s in offsets]
    loop = OpenLoop(sending, time.monotonic, room, timeout_s, line_of)
    if stop_after_s is not None:
        gevent.spawn_later(stop_after_s, stop.set)
    loop.run(iter(due_s), stop, grace_s)
    return due_s


def test_nothing_is_sent_before_it_is_due_and_everything_is_sent_once():
    sending = Sending(lambda _number: gevent.sleep(0.03))

    # Room for all: a busy machine may be late for many at once.
    due_s = run(sending, [0.001 * k for k in range(200)], room=200)

    assert sending.intended_s == due_s
    assert all(at_s >= intended_s for intended_s, at_s in sending.sent)
    assert sending.odd == sending.refused == sending.left == []


def test_arrivals_at_one_moment_are_all_sent():
    sending = Sending(lambda _number: gevent.sleep(0.01))

    due_s = run(sending, [0.0, 0.0, 0.0, 0.02, 0.02])

    assert sending.intended_s == due_s


def test_an_arrival_without_room_is_not_sent_and_the_next_one_with_room_is():
    sending = Sending(lambda _number: gevent.sleep(0.1))

    due_s = run(sending, [0.0, 0.01, 0.02, 0.2], room=2)

    assert (sending.refused, sending.late) == ([due_s[2]], [])
    assert sending.intended_s == [due_s[0], due_s[1], due_s[3]]


def test_an_arrival_without_room_is_late_if_there_was_room_when_it_was_due():
    def script(number):
        if number == 0:
            time.sleep(0.4)  # the process itself stalls: it is late for the next three
        gevent.sleep(0.3)

    sending = Sending(script)

    due_s = run(sending, [0.0, 0.1, 0.15, 0.2, 0.42], room=2)

    assert sending.intended_s == [due_s[0], due_s[1]]
    assert sending.late == [due_s[2], due_s[3]]
    assert sending.refused == [due_s[2], due_s[3], due_s[4]]


def test_an_arrival_is_not_late_if_all_requests_were_open_from_before_it_was_due():
    def script(number):
        gevent.sleep(0.05)
        if number == 1:
            time.sleep(0.4)
        gevent.sleep(0.5)

    sending = Sending(script)

    due_s = run(sending, [0.0, 0.0, 0.1, 0.15], room=2)

    assert (sending.refused, sending.late) == ([due_s[2], due_s[3]], [])


def test_greenlets_are_kept_and_used_again():
    seen = set()
    sending = Sending(lambda _number: seen.add(id(gevent.getcurrent())))

    run(sending, [0.01 * k for k in range(20)])

    assert len(sending.sent) == 20
    assert len(seen) < 20


def test_a_request_that_takes_too_long_ends_with_a_time_out_and_no_other_does():
    def script(number):
        gevent.sleep(9.0 if number == 1 else 0.15)

    sending = Sending(script)

    due_s = run(sending, [0.0, 0.02, 0.04, 0.3], timeout_s=0.2)

    [(intended_s, raised)] = sending.odd
    assert intended_s == due_s[1]
    assert isinstance(raised, gevent.Timeout)
    assert sending.left == []


def test_what_goes_on_after_its_time_out_is_unfinished_at_the_end():
    def script(_number):
        until_s = time.monotonic() + 9.0
        while time.monotonic() < until_s:
            try:
                gevent.sleep(9.0)
            except gevent.Timeout:
                continue

    sending = Sending(script)

    due_s = run(sending, [0.0], timeout_s=0.1)

    assert sending.left == due_s
    assert sending.odd == []


@pytest.mark.parametrize("raised", [KeyError("label"), gevent.Timeout()])
def test_what_a_request_raises_is_told_and_the_loop_goes_on(raised):
    def script(number):
        if number == 1:
            raise raised

    sending = Sending(script)

    due_s = run(sending, [0.0, 0.01, 0.02])

    assert sending.odd == [(due_s[1], raised)]
    assert sending.intended_s == due_s


def test_a_request_that_left_no_row_is_told():
    sending = Sending(records=False)

    due_s = run(sending, [0.0, 0.01])

    assert sending.odd == [(at_s, None) for at_s in due_s]


@pytest.mark.parametrize("next_s", [0.2, 5.0])
def test_stopped_it_sends_no_more_and_waits_for_what_is_under_way(next_s):
    stop = gevent.event.Event()

    def stop_and_answer(_number):
        stop.set()
        gevent.sleep(0.1)

    def due_times():
        yield time.monotonic()
        yield time.monotonic() + next_s  # asked for once the first is on its way

    sending = Sending(stop_and_answer)
    begun_s = time.monotonic()

    OpenLoop(sending, time.monotonic, 100, 5.0).run(due_times(), stop, GRACE_S)

    assert len(sending.sent) == 1
    assert sending.left == []
    assert time.monotonic() - begun_s < 4.0  # it did not wait for what was due after 5 s


def test_killed_it_tells_what_was_under_way_and_ends_it():
    ended = []

    def script(_number):
        try:
            gevent.sleep(9.0)
        finally:
            ended.append(True)

    sending = Sending(script)
    begun_s = time.monotonic()
    loop = OpenLoop(sending, time.monotonic, 10, 20.0)
    greenlet = gevent.spawn(loop.run, iter([begun_s, begun_s]), gevent.event.Event(), GRACE_S)
    while len(sending.sent) < 2:
        gevent.sleep(0.01)

    greenlet.kill()
    gevent.sleep(0.01)

    assert sending.left == [begun_s, begun_s]
    assert ended == [True, True]


def test_an_alarm_comes_after_its_time_and_can_be_set_again():
    alarm = Alarm()
    try:
        for seconds in (0.0005, 0.02, 1e-9):
            begun_s = time.monotonic()
            alarm.wait(seconds)
            assert time.monotonic() - begun_s >= seconds
    finally:
        alarm.close()


def test_an_arrival_rests_until_it_is_woken():
    sending = Sending()
    loop = OpenLoop(sending, time.monotonic, 1, 1.0)
    arrival = Arrival(loop, 1.0)
    arrival.start()
    gevent.sleep(0)
    gevent.sleep(0.01)

    assert sending.intended_s == [1.0]
    assert not arrival.ready()
    arrival.kill()


# --- lines -------------------------------------------------------------------------------------


class Talking(Sending):
    """Notes number, line and times of each request, which takes `seconds`."""

    def __init__(self, seconds, line_of):
        super().__init__()
        self.seconds, self.line_of = seconds, line_of
        self.talks = []

    def send(self):
        arrival = gevent.getcurrent()
        begun_s, number, waited_s = time.monotonic(), arrival.number, arrival.waited_s
        intended_s = arrival.intended_s
        gevent.sleep(self.seconds)
        arrival.recorded = True
        line = self.line_of(number)
        self.talks.append((line, number, intended_s, waited_s, begun_s, time.monotonic()))


def test_an_arrival_waits_for_the_one_before_it_in_its_line_and_for_no_other():
    line_of = lambda number: number % 2  # noqa: E731
    talking = Talking(0.1, line_of)

    due_s = run(talking, [0.0, 0.01, 0.02, 0.03, 0.5, 0.6], line_of=line_of)

    by_number = {talk[1]: talk for talk in talking.talks}
    assert sorted(by_number) == [0, 1, 2, 3, 4, 5]
    for number in (2, 3):
        _, _, intended_s, waited_s, begun_s, _ = by_number[number]
        ended_s = by_number[number - 2][5]
        assert begun_s >= intended_s >= ended_s
        assert intended_s - waited_s == due_s[number]
        assert waited_s >= 0.05
    for number in (0, 1, 4, 5):
        assert by_number[number][2:4] == (due_s[number], 0.0)
    assert by_number[1][4] < by_number[0][5]
    assert talking.without == talking.refused == talking.left == []


def test_one_that_waits_takes_no_room_and_is_no_time_out():
    line_of = lambda number: None if number == 3 else 0  # noqa: E731
    talking = Talking(0.15, line_of)

    run(talking, [0.0, 0.01, 0.02, 0.05], room=2, timeout_s=0.3, line_of=line_of)

    assert sorted(number for _, number, *_ in talking.talks) == [0, 1, 2, 3]
    assert talking.refused == talking.left == talking.odd == []


def test_what_still_waits_when_the_loop_ends_is_told_with_its_due_time():
    talking = Talking(0.4, lambda _number: 0)

    due_s = run(talking, [0.0, 0.01, 0.02, 0.03], timeout_s=0.5, line_of=lambda _number: 0)

    sent = sorted(number for _, number, *_ in talking.talks)
    assert sent in ([0], [0, 1])
    assert talking.without == due_s[len(sent) + 1 :]
    assert talking.left != []


def test_no_turn_begins_after_the_load_was_stopped():
    talking = Talking(1.1, lambda _number: 0)
    plan_s = [0.0, 0.01, 5.0]

    due_s = run(talking, plan_s, line_of=lambda _number: 0, stop_after_s=0.6, grace_s=5.0)

    assert [number for _, number, *_ in talking.talks] == [0]
    assert talking.without == [due_s[1]]


def test_a_line_goes_on_after_an_arrival_without_room():
    """Number 0 fills the room; 1 is refused, and 2 of its line is sent when there is room again."""
    line_of = lambda number: None if number == 0 else 0  # noqa: E731
    talking = Talking(0.1, line_of)

    due_s = run(talking, [0.0, 0.02, 0.3], room=1, line_of=line_of)

    assert talking.refused == [due_s[1]]
    assert [number for _, number, *_ in talking.talks] == [0, 2]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), min_size=1, max_size=40),
    st.integers(0, 2),
)
@settings(max_examples=15, deadline=None)
def test_turns_of_each_line_are_in_order_and_never_at_once(arrivals, room_kind):
    """However lines and times are mixed, and however little room there is."""
    arrivals.sort(key=lambda arrival: arrival[1])
    line_of = lambda number: arrivals[number][0]  # noqa: E731
    talking = Talking(0.01, line_of)

    due_s = run(
        talking, [at / 200 for _, at in arrivals], room=(1, 2, 100)[room_kind], line_of=line_of
    )

    assert len(talking.talks) + len(talking.refused) == len(arrivals)
    for line in range(4):
        talks = [talk for talk in talking.talks if talk[0] == line]
        numbers = [talk[1] for talk in talks]
        assert numbers == sorted(numbers)
        for before, after in itertools.pairwise(talks):
            assert after[4] >= before[5]
    for _, number, intended_s, waited_s, *_ in talking.talks:
        assert intended_s - waited_s == due_s[number]
