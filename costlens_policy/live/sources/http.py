"""A bundle behind a URL, asked for again with its entity tag (RFC 9110, section 13.1.2)."""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from email.message import Message
from threading import Timer
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from costlens_policy.bundles.archive import MAX_BYTES
from costlens_policy.errors import InputError
from costlens_policy.live.sources.packed import BundleSource, Packed
from costlens_policy.version import __version__

if TYPE_CHECKING:
    from costlens_policy.bundles import Trust

__all__ = ["HttpSource"]

_CHUNK: Final = 256 * 1024
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_VALIDATORS: Final = (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since"))
_LONGEST_TAG: Final = 1000


class HttpSource(BundleSource):
    """The policies of a bundle at an ``https:`` URL.

    ``http:`` takes ``trust``, except on this machine: whoever is in between could exchange the policies. ``headers``
    are sent with each request, to the URL's own host alone. A redirect is followed to ``https:`` only. ``timeout`` is
    how many seconds an answer may take as a whole. Raises ``InputError`` for another URL.
    """

    def __init__(
        self,
        url: str,
        *,
        trust: Trust | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"a bundle must have an `https:` URL, got `{_shown(url)}`")
        if parts.username or parts.password:
            raise InputError("a URL of a bundle must not hold a password; send it in `headers`")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not _is_trusting(trust):
            raise InputError(
                f"`{_shown(url)}` needs `trust`, or `https:`: anybody on the way could exchange the bundle"
            )
        super().__init__(_HttpTransport(url, dict(headers or {}), timeout), trust)


def _shown(url: str) -> str:
    """Return a URL without its query, which may hold a signature, as presigned URLs of stores do."""
    parts = urlsplit(url)
    return parts._replace(query="…" if parts.query else "", fragment="").geturl()


def _is_trusting(trust: Trust | None) -> bool:
    from costlens_policy.bundles import Trust as Configured

    return trust is not None or Configured.of_environment() is not None


class _HttpTransport:
    def __init__(self, url: str, headers: Mapping[str, str], timeout: float) -> None:
        self.name: Final = _shown(url)
        self._url = url
        self._headers = headers
        self._timeout = timeout
        self._opener = urllib.request.OpenerDirector()
        self._sockets: Final[list[socket.socket]] = []
        for handler in (
            _Handler(self._sockets),
            _HttpsHandler(self._sockets, ssl.create_default_context()),
            urllib.request.ProxyHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            _Redirects(),
        ):
            self._opener.add_handler(handler)

    def get(self, tag: str) -> Packed | None:
        name, _, value = tag.partition(": ")
        conditions = {condition: value for header, condition in _VALIDATORS if header == name}
        headers = {"User-Agent": f"costlens-policy/{__version__}", **self._headers, **conditions}
        request = urllib.request.Request(self._url, headers=headers)
        watch = _Deadline(self._timeout, self._sockets)
        try:
            with watch, self._opener.open(request, timeout=self._timeout) as answer:
                return Packed(_tag_of(answer.headers), self._body(answer, watch))
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 304 and tag:
                return None
            raise InputError(f"`{self.name}` cannot be fetched: status {error.code}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            if watch.is_over:
                raise InputError(self._slow) from None
            reason = getattr(error, "reason", None) or error
            raise InputError(f"`{self.name}` cannot be fetched: {reason or type(error).__name__}") from error

    def _body(self, answer: Any, watch: _Deadline) -> bytes:
        parts, size = [], 0
        while part := answer.read1(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > MAX_BYTES:
                raise InputError(f"`{self.name}` is larger than {MAX_BYTES // 1024**2} MiB")
        if watch.is_over:
            raise InputError(self._slow)
        return b"".join(parts)

    @property
    def _slow(self) -> str:
        return f"`{self.name}` takes longer than {self._timeout:g} seconds"


class _Deadline:
    """Ends the connections of a request that takes too long as a whole: time-outs of sockets are for each part."""

    def __init__(self, seconds: float, sockets: list[socket.socket]) -> None:
        self.is_over = False
        self._sockets = sockets
        self._timer = Timer(seconds, self._end)
        self._timer.daemon = True

    def _end(self) -> None:
        self.is_over = True
        for connected in self._sockets:
            with suppress(OSError):
                socket.socket.shutdown(connected, socket.SHUT_RDWR)  # of TLS, too, without a farewell

    def __enter__(self) -> None:
        self._sockets.clear()
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._sockets.clear()


class _Connection(http.client.HTTPConnection):
    def __init__(self, host: str, *, sockets: list[socket.socket], **options: Any) -> None:
        super().__init__(host, **options)
        self._sockets = sockets

    def connect(self) -> None:
        super().connect()
        self._sockets.append(self.sock)


class _HttpsConnection(http.client.HTTPSConnection):
    def __init__(self, host: str, *, sockets: list[socket.socket], **options: Any) -> None:
        super().__init__(host, **options)
        self._sockets = sockets

    def connect(self) -> None:
        super().connect()
        self._sockets.append(self.sock)


class _Handler(urllib.request.HTTPHandler):
    def __init__(self, sockets: list[socket.socket]) -> None:
        super().__init__()
        self._sockets = sockets

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req, sockets=self._sockets)  # type: ignore[arg-type]  # as the base does


class _HttpsHandler(urllib.request.HTTPSHandler):
    def __init__(self, sockets: list[socket.socket], context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._sockets = sockets
        self._verifying = context

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_HttpsConnection, req, sockets=self._sockets, context=self._verifying)  # type: ignore[arg-type]


def _tag_of(headers: Message) -> str:
    """Return the first of the validators that an answer has, by which it is asked for again, if it can be sent."""
    found = ((name, headers[name] or "") for name, _ in _VALIDATORS)
    return next((f"{name}: {text}" for name, text in found if 0 < len(text) < _LONGEST_TAG and text.isprintable()), "")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to ``https:``, and to the same host; headers of the caller stay with the host they are for."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        before, after = urlsplit(req.full_url), urlsplit(urljoin(req.full_url, newurl))
        same = (before.scheme, before.netloc) == (after.scheme, after.netloc)
        if not same and after.scheme != "https":
            raise InputError(f"`{_shown(req.full_url)}` leads to `{after.scheme}:`, which is not followed")
        found = super().redirect_request(req, fp, code, msg, headers, newurl)
        if found is not None and not same:
            found.headers = {"User-agent": f"costlens-policy/{__version__}"}
        return found
