"""A bundle behind a URL, asked for again with its entity tag (RFC 9110, section 13.1.2)."""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
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
            raise InputError(f"a bundle must have an `https:` URL, got `{url}`")
        if parts.username or parts.password:
            raise InputError("a URL of a bundle must not hold a password; send it in `headers`")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not _is_trusting(trust):
            raise InputError(f"`{url}` needs `trust`, or `https:`: anybody on the way could exchange the bundle")
        super().__init__(_HttpTransport(url, dict(headers or {}), timeout), trust)


def _is_trusting(trust: Trust | None) -> bool:
    from costlens_policy.bundles import Trust as Configured

    return trust is not None or Configured.of_environment() is not None


class _HttpTransport:
    def __init__(self, url: str, headers: Mapping[str, str], timeout: float) -> None:
        self.name: Final = url
        self._headers = headers
        self._timeout = timeout
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(context=ssl.create_default_context()),
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
        request = urllib.request.Request(self.name, headers=headers)
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return Packed(_tag_of(answer.headers), self._body(answer))
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 304 and tag:
                return None
            raise InputError(f"`{self.name}` cannot be fetched: status {error.code}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise InputError(f"`{self.name}` cannot be fetched: {reason or type(error).__name__}") from error

    def _body(self, answer: Any) -> bytes:
        deadline, parts, size = time.monotonic() + self._timeout, [], 0
        while part := answer.read1(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > MAX_BYTES:
                raise InputError(f"`{self.name}` is larger than {MAX_BYTES // 1024**2} MiB")
            if time.monotonic() > deadline:
                raise InputError(f"`{self.name}` takes longer than {self._timeout:g} seconds")
        return b"".join(parts)


def _tag_of(headers: Message) -> str:
    """Return the first of the validators that an answer has, by which it is asked for again."""
    return next((f"{name}: {headers[name]}" for name, _ in _VALIDATORS if headers[name]), "")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to ``https:``, and to the same host; headers of the caller stay with the host they are for."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        before, after = urlsplit(req.full_url), urlsplit(urljoin(req.full_url, newurl))
        same = (before.scheme, before.netloc) == (after.scheme, after.netloc)
        if not same and after.scheme != "https":
            raise InputError(f"`{req.full_url}` leads to `{after.scheme}:`, which is not followed")
        found = super().redirect_request(req, fp, code, msg, headers, newurl)
        if found is not None and not same:
            found.headers = {"User-agent": f"costlens-policy/{__version__}"}
        return found
