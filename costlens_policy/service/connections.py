"""Connections: uvicorn's, which here end without losing a request, and not only when their clients want it.

When a server stops, uvicorn closes connections that wait for their next request, so that a client which has just sent
one gets no answer. Here they stay open for a second, and close with the answer to that request. Besides, headers have
a time and a size, and an answer that nobody reads does not stay in memory.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, ClassVar, Final
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

__all__ = ["Connection"]

_LAST_REQUEST: Final = 1.0
"""Seconds for which a connection still takes a request when the server stops."""
_LOOK: Final = 1.0
_HEADERS: Final = 10.0
"""Seconds in which the headers of a request have to arrive, and what is left of a body that was refused."""
_UPGRADE: Final = re.compile(rb"\r\nupgrade:", re.IGNORECASE)
_LARGEST_HEADERS: Final = 64 * 1024
"""Bytes of them, to within one read."""


class Connection(HttpToolsProtocol):
    """One connection of a client."""

    _watches: ClassVar[WeakKeyDictionary[ServerState, _Watch]] = WeakKeyDictionary()
    """One for each server."""

    _is_last = False
    _size_of_headers = 0
    _looked_at: tuple[Any, float] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        watch = self._watches.setdefault(self.server_state, _Watch(self.connections, self.loop))
        watch.go_on()
        if watch.stopping:  # it was accepted just before
            self._take_one_more()

    def data_received(self, data: bytes) -> None:
        if b"pgrade" in data and self._waits_for_headers:
            data = _without_upgrade(data)
        super().data_received(data)
        if self._waits_for_headers:
            self._size_of_headers += len(data)
            if self._size_of_headers > _LARGEST_HEADERS:
                self._refuse(b"431 Request Header Fields Too Large")
        elif self._size_of_headers:
            self._size_of_headers = 0

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self._is_last:
            self._close_after_answer()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.cycle.more_body = False  # also where it was answered before it was complete

    def shutdown(self) -> None:
        """End after the request under way, or the one that a client may just be sending."""
        self._watches[self.server_state].stopping = True
        if self._is_idle:
            self._take_one_more()
        else:
            self._close_after_answer()

    def timeout_keep_alive_handler(self) -> None:
        """End a connection that has been idle for too long, also if its client never read the last answer."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def look(self, now: float) -> None:
        """End the connection if its client does not come to the end of headers, or of a body that was refused."""
        if not self._is_idle or not (self._waits_for_headers or self.cycle.more_body):
            self._looked_at = None
        elif self._looked_at is None or self._looked_at[0] is not self.scope:
            self._looked_at = self.scope, now
        elif self.scope is None and now - self._looked_at[1] > self.timeout_keep_alive:
            self.transport.close()  # it was opened, and nothing came
        elif self.scope is not None and now - self._looked_at[1] > _HEADERS:
            if self._waits_for_headers:
                self._refuse(b"408 Request Timeout")
            else:
                self.transport.abort()

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    @property
    def _waits_for_headers(self) -> bool:
        """Whether a request has begun, or may come for the first time, and is not there yet."""
        return self.cycle is None or self.cycle.scope is not self.scope

    def _take_one_more(self) -> None:
        self._is_last = True
        self.loop.call_later(_LAST_REQUEST, self._close_if_idle)

    def _close_after_answer(self) -> None:
        """Close the connection with the answer under way, and tell the client so, which older uvicorns do not."""
        self.cycle.keep_alive = False
        self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"close")]

    def _close_if_idle(self) -> None:
        if self._is_idle and not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, status: bytes) -> None:
        if not self._is_idle:
            self.transport.abort()  # an answer to the request before is under way, and nothing may come into it
        elif not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % status)
            self.transport.close()


def _without_upgrade(data: bytes) -> bytes:
    """Return the beginning of a request without the offer to speak another protocol, which is declined.

    Clients of Java make it with each request, and uvicorn passes over the body of one that has it.
    """
    headers, end, body = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"\r\nx-declined:", headers) + end + body


class _Watch:
    """Looks at the connections of a server each second, as long as there are any."""

    def __init__(self, connections: set[Any], loop: asyncio.AbstractEventLoop) -> None:
        self.stopping = False
        self._connections: Final = connections
        self._loop: Final = loop
        self._next: asyncio.TimerHandle | None = None

    def go_on(self) -> None:
        if self._next is None:
            self._next = self._loop.call_later(_LOOK, self._look)

    def _look(self) -> None:
        self._next = None
        now = self._loop.time()
        for connection in list(self._connections):
            connection.look(now)
        if self._connections:
            self.go_on()
