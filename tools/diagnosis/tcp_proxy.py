"""A TCP proxy whose network can be made bad at any time, for connections there are and new ones."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any, Final, Self

CALL_DEADLINE_S: Final = 10.0
CHUNK_BYTES: Final = 65536
MAX_CHUNKS: Final = 64
# struct linger {on, 0 s}: close() sends RST instead of FIN.
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


Chunks = asyncio.Queue[tuple[float, bytes]]
"""Bytes that were read, and their due time on the other side, by the loop; no bytes are the end."""


class TcpProxy:
    """Forwards connections to 127.0.0.1:`port` to the upstream; a context manager.

    Each of its modes is in force when the method returns, and lasts until the next one:

    - `forward()`, the mode it begins in;
    - `delay(d_s)`: every byte of an answer arrives `d_s` later than it came from the upstream
      (requests are not delayed, a long answer is late once, not once a chunk, and what is waiting
      when the mode ends keeps its time);
    - `blackhole()`: connections are accepted and kept, and nothing passes, either way; what came in
      meanwhile is passed on by the next mode that forwards, as TCP does when a network comes back;
    - `reset()`: connections are reset (RST) at once, new ones as soon as they are accepted: a client
      sees it while it connects or at its first read;
    - `refuse()`: connections are reset and new ones refused, as when the server has died. The port
      stays ours.
    """

    def __init__(self, upstream_host: str, upstream_port: int) -> None:
        self._upstream = (upstream_host, upstream_port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._delay_s = 0.0
        self._dropping = False
        self._open = asyncio.Event()
        self._links: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._reserved = bound_socket(0)
        self.port: int = self._reserved.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self.forward()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Reset what is left and stop."""
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_DEADLINE_S)
        self._loop.close()
        self._reserved.close()

    def forward(self) -> None:
        """Pass on everything, at once."""
        self.delay(0)

    def delay(self, d_s: float) -> None:
        """Let every byte of an answer arrive `d_s` later."""
        self._call(self._pass_on(d_s))

    def blackhole(self) -> None:
        """Pass on nothing, and close nothing."""
        self._call(self._hold())

    def reset(self) -> None:
        """Reset every connection."""
        self._call(self._reset())

    def refuse(self) -> None:
        """Reset every connection and listen no longer."""
        self._call(self._refuse())

    def _call(self, change: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(change, self._loop).result(CALL_DEADLINE_S)

    async def _pass_on(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._dropping = False
        self._open.set()
        await self._listen()

    async def _hold(self) -> None:
        self._dropping = False
        self._open.clear()
        await self._listen()

    async def _reset(self) -> None:
        self._dropping = True
        await self._drop_links()
        await self._listen()

    async def _refuse(self) -> None:
        self._dropping = True
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            # Bound but not listening, it refuses; and nobody else gets the port meanwhile.
            self._reserved = bound_socket(self.port)
        await self._drop_links()

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, sock=self._reserved)

    async def _drop_links(self) -> None:
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)
        await asyncio.sleep(0)  # an aborted transport closes its socket in the next turn

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        try:
            if not self._dropping:
                await self._open.wait()
                await self._join(reader, writer)
        except* (OSError, asyncio.CancelledError):
            pass  # one of both ends is gone, or the mode does away with it: the other hears of it
        finally:
            self._links.discard(link)
            reset(writer)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry both directions to their ends; resets the far end where one of them breaks."""
        far_reader, far_writer = await asyncio.open_connection(*self._upstream)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(reader, far_writer, late=False))
                both.create_task(self._carry(far_reader, writer, late=True))
            for ended in (writer, far_writer):
                ended.close()
                await ended.wait_closed()
        finally:
            reset(far_writer)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, late: bool
    ) -> None:
        """One direction, until its end: what is read waits in a queue until it is due."""
        chunks: Chunks = asyncio.Queue(MAX_CHUNKS)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._read(reader, chunks, late=late))
            both.create_task(self._write(writer, chunks))

    async def _read(self, reader: asyncio.StreamReader, chunks: Chunks, *, late: bool) -> None:
        chunk = b"-"
        while chunk:
            chunk = await reader.read(CHUNK_BYTES)
            late_s = self._delay_s if late else 0.0
            await chunks.put((self._loop.time() + late_s, chunk))

    async def _write(self, writer: asyncio.StreamWriter, chunks: Chunks) -> None:
        while True:
            due_s, chunk = await chunks.get()
            await asyncio.sleep(max(0.0, due_s - self._loop.time()))
            await self._open.wait()
            if not chunk:
                break
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


def bound_socket(port: int) -> socket.socket:
    """A socket bound to `port` of 127.0.0.1 (0: any free one) that does not listen yet."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a RST, whatever is still to be sent; nothing where it is closed already."""
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()
