"""Events as signed requests to a URL. A file of its own, since HTTP takes longer to import than all of the guard."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from http.client import HTTPMessage
from typing import IO, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from costlens_policy.errors import CostlensPolicyError
from costlens_policy.guard.errors import GuardError
from costlens_policy.guard.events import Event

__all__ = ["WebhookError", "WebhookSink", "sign"]

_SIGNATURE: Final = "X-Costlens-Signature"
_TIMESTAMP: Final = "X-Costlens-Timestamp"
_EVENT: Final = "X-Costlens-Event"


class WebhookError(CostlensPolicyError):
    """The receiver did not take the event: it will be sent again."""


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature header of a request: ``sha256=`` and the HMAC-SHA256 of timestamp, point and body.

    A receiver computes the same, compares it with ``hmac.compare_digest``, and refuses timestamps that are old.
    """
    signed = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


class WebhookSink:
    """Sends each event as JSON by POST. An answer other than 2xx, a redirect included, counts as not received."""

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise GuardError(f"a webhook must be an `http` or `https` URL, got `{url}`")
        if not isinstance(secret, str) or not secret:
            raise GuardError("a webhook needs a secret, a non-empty string, to sign with")
        self._url: Final = url
        self._secret: Final = secret
        self._headers: Final = dict(headers or {})
        self._timeout: Final = timeout
        self._clock: Final = clock
        self._opener: Final = build_opener(_NoRedirect)

    def __call__(self, event: Event) -> None:
        body = json.dumps(event.to_dict(), ensure_ascii=False, separators=(",", ":")).encode()
        timestamp = str(int(self._clock()))
        headers = {
            "User-Agent": "costlens-policy",
            **self._headers,
            "Content-Type": "application/json",
            _EVENT: event.id,
            _TIMESTAMP: timestamp,
            _SIGNATURE: sign(self._secret, timestamp, body),
        }
        host = urlsplit(self._url).hostname
        try:
            with self._opener.open(Request(self._url, body, headers, method="POST"), timeout=self._timeout) as answer:
                answer.read(1024)
        except HTTPError as error:
            with error:
                raise WebhookError(f"`{host}` answered {error.code}") from None
        except (URLError, OSError) as error:
            raise WebhookError(f"`{host}` cannot be reached: {getattr(error, 'reason', error)}") from None


class _NoRedirect(HTTPRedirectHandler):
    """A signed event goes where it was meant to go, and nowhere else."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        return None
