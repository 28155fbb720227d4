"""At which address the nodes of a cluster reach the process that leads a run."""

import socket

import pytest

from scalelag.cluster.ray_job.reach import EVERYWHERE, master_address
from scalelag.errors import TargetError, UsageError

DASHBOARD = "http://127.0.0.1:8265"


def test_without_a_wish_it_is_the_address_by_which_the_dashboard_is_reached():
    found = master_address(DASHBOARD, None)

    assert (found.host, found.listen) == ("127.0.0.1", "127.0.0.1")


def test_the_port_is_free():
    found = master_address(DASHBOARD, None)

    with socket.socket() as leader:
        leader.bind((found.listen, found.port))


@pytest.mark.parametrize(
    ("wanted", "host", "listen"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        # Not an address of this machine, as behind a translation: it listens on all that it has.
        ("192.0.2.1", "192.0.2.1", EVERYWHERE),
        ("load.invalid", "load.invalid", EVERYWHERE),
    ],
)
def test_a_host_that_is_wanted_is_told_to_the_nodes_and_listened_on_if_it_is_ours(
    wanted, host, listen
):
    found = master_address(DASHBOARD, wanted)

    assert (found.host, found.listen) == (host, listen)
    assert found.port > 0


def test_a_port_that_is_wanted_is_taken():
    assert master_address(DASHBOARD, "192.0.2.1:5557").port == 5557


@pytest.mark.parametrize(
    "wanted", ["", ":5557", "http://10.0.0.7", "10.0.0.7:port", "10.0.0.7:99999", "me@there", "a/b"]
)
def test_what_is_no_address_is_refused(wanted):
    with pytest.raises(UsageError, match=r"--master-host .*: write HOST or HOST:PORT"):
        master_address(DASHBOARD, wanted)


def test_a_dashboard_to_which_there_is_no_way_is_named():
    with pytest.raises(TargetError, match=r"No route to http://nowhere\.invalid:8265"):
        master_address("http://nowhere.invalid:8265", None)
