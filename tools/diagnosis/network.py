"""A network namespace with one cable to it, which can be pulled out and put back. Needs root."""

import contextlib
import ipaddress
import os
import shutil
import subprocess
from collections.abc import Generator
from typing import Final

from tools.diagnosis.ray_start import FaultToolError

# The addresses of the cables' ends, a /30 each.
RANGE: Final = ipaddress.IPv4Network("10.77.0.0/16")


class Cable:
    """A veth pair between this machine at `near` and the namespace `name` at `far`."""

    def __init__(self, name: str, near: str, far: str) -> None:
        self.name = name
        self.near = near
        self.far = far
        self._near_end, self._far_end = f"{name}n", f"{name}f"

    def lay(self) -> None:
        """Make the pair, with the addresses and routes of both ends.

        The far address is on the namespace's `lo`, which stays up: on the cable's end it would go
        with the cable, and the processes there could not even reach each other.
        """
        ip("link", "add", self._near_end, "type", "veth", "peer", self._far_end, "netns", self.name)
        ip("addr", "add", f"{self.near}/30", "dev", self._near_end)
        ip("link", "set", self._near_end, "up")
        ip("-n", self.name, "addr", "add", f"{self.far}/32", "dev", "lo")
        ip("-n", self.name, "link", "set", "lo", "up")
        self.mend()

    def cut(self) -> None:
        """Pull it out: nothing passes from now on, either way, and no connection is closed."""
        ip("-n", self.name, "link", "set", self._far_end, "down")

    def mend(self) -> None:
        """Put it back; connections that are still there go on."""
        ip("-n", self.name, "link", "set", self._far_end, "up")
        route = (f"{self.near}/32", "dev", self._far_end, "src", self.far)
        ip("-n", self.name, "route", "replace", *route)

    def inside(self) -> list[str]:
        """Words before a command that make it run in the namespace."""
        return [ip_command(), "netns", "exec", self.name]


@contextlib.contextmanager
def cabled_namespace() -> Generator[Cable]:
    """A new namespace and the cable to it; both are gone afterwards.

    Raises FaultToolError where this cannot be had, saying what is missing.
    """
    index = free_pair()
    # An interface's name has 15 characters at most.
    name = f"sl{os.getpid()}x{index:x}"
    ip("netns", "add", name)
    try:
        cable = Cable(name, str(RANGE[4 * index + 1]), str(RANGE[4 * index + 2]))
        cable.lay()
        yield cable
    finally:
        # The pair would go with the namespace, but that lives on for minutes where a connection of
        # a killed process still tries to get its last bytes over a cut cable.
        with contextlib.suppress(FaultToolError):
            ip("link", "delete", f"{name}n")
        ip("netns", "delete", name)


def free_pair() -> int:
    """Number of a /30 of RANGE that this machine has no address of; each process begins elsewhere."""
    taken = ip("-o", "-4", "addr", "show")
    pairs = RANGE.num_addresses // 4
    for index in range(os.getpid(), os.getpid() + pairs):
        if f" {RANGE[4 * (index % pairs) + 1]}/" not in taken:
            return index % pairs
    raise FaultToolError(f"every address of {RANGE} is taken here")


def ip(*arguments: str) -> str:
    """Return the output of `ip ARGUMENTS`. Raises FaultToolError with its own words if it fails."""
    done = subprocess.run([ip_command(), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FaultToolError(
            f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()} "
            "(network namespaces need root, CAP_NET_ADMIN and CAP_SYS_ADMIN)"
        )
    return done.stdout


def ip_command() -> str:
    """Path of `ip`, also where the PATH has no sbin. Raises FaultToolError without it."""
    command = shutil.which("ip", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if command is None:
        raise FaultToolError("the command `ip` is missing: apt-get install iproute2")
    return command
