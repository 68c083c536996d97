"""Bodies of requests, read: ``msgspec`` checks them on the way, and keys that appear twice are refused as well."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar

import msgspec

from costlens_policy.client.wire import Batch, Given
from costlens_policy.errors import InputError, lowered

__all__ = ["BodyError", "read_body"]


class BodyError(InputError):
    """A body is not JSON, or not what the endpoint takes; the message says where."""


_Body = TypeVar("_Body", bound=Given)
_KEY: Final = re.compile(rb'"\s*:')
_HALF: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
"""A surrogate without its other half."""


def read_body(body: bytes, decoder: msgspec.json.Decoder[_Body]) -> _Body:  # type: ignore[type-var, unused-ignore]
    """Return a body as its type. Raises ``BodyError``."""
    try:
        read = decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise BodyError(_said(body, error)) from None
    except RecursionError:
        raise BodyError("the body is nested too deeply") from None
    if not _is_plain(read, body):
        keys = _keys_of(read)
        if body.count(b":") != keys and len(_KEY.findall(body)) != keys:
            _refuse_repeated(body)
    return read  # type: ignore[no-any-return, unused-ignore]


def _said(body: bytes, error: msgspec.MsgspecError) -> str:
    """Return what is wrong with a body. The library calls what ends too soon and a half of a character truncated."""
    if isinstance(error, msgspec.ValidationError):
        said = lowered(str(error))
        place = _too_large(body) if "out of range" in said else ""
        return f"`{place}` must be a number of 64 bits, which it is too large for" if place else said
    if not body.strip():
        return "the body must be a JSON object, got nothing"
    if _HALF.search(body):
        return "the body must be JSON in UTF-8, got a text with half of a character (a lone surrogate)"
    said = str(error).removeprefix("JSON is malformed: ")
    if said == "Input data was truncated":
        said = "it ends too early"
    return f"the body must be JSON in UTF-8: {lowered(said)}"


def _too_large(body: bytes) -> str:
    """Return the place of the first number that no double holds; the library does not say at which key it is."""
    import json

    try:
        return next(_infinite(json.loads(body), ""), "")
    except (ValueError, RecursionError):
        return ""


def _infinite(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, float) and math.isinf(value):
        yield place
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _infinite(item, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _infinite(item, f"{place}[{at}]")


def _is_plain(read: Given, body: bytes) -> bool:
    """Say whether a batch is of objects with plain values alone, as nearly always, and no key appears twice in it."""
    if not isinstance(read, Batch):
        return False
    requests = read.requests
    if body.count(b"{") != 1 + len(requests) or body.count(b"[") != 1:
        return False
    return body.count(b":") == _keys_of(Batch([], read.dialect, read.brief)) + sum(map(len, requests))


def _keys_of(read: Given) -> int:
    """Return how many keys were read. Defaults are none: with one counted, a key that appears twice would pass."""
    total = 0
    for name in read.__struct_fields__:
        value = getattr(read, name)
        if value is not None and value is not False:
            total += 1
            if type(value) is dict or type(value) is list:
                total += _keys_inside(value)
    return total


def _keys_inside(value: dict[str, Any] | list[Any]) -> int:
    items: Iterable[Any] = value
    total = 0
    if type(value) is dict:
        items, total = value.values(), len(value)
    for item in items:
        if type(item) is dict or type(item) is list:
            total += _keys_inside(item)
    return total


def _refuse_repeated(body: bytes) -> None:
    """Look closely at a body that may hold a key twice: texts with quotes and colons lead here, too."""
    import json

    json.loads(body, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> None:
    seen = set()
    for key, _ in pairs:
        if key in seen:
            raise BodyError(f"key `{key}` appears twice in one object")
        seen.add(key)
