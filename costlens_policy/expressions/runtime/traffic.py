"""Our own functions for the rules of LLM traffic: texts, tokens, what they cost, and sticky shares of traffic."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from math import ceil
from typing import Final

from costlens_policy.errors import RequestError
from costlens_policy.expressions.errors import BAD_ARGUMENT, CelError
from costlens_policy.expressions.limits import Work, check_size
from costlens_policy.expressions.runtime.functions import implements
from costlens_policy.expressions.runtime.regex import matcher
from costlens_policy.expressions.runtime.strings import format_text, utf8
from costlens_policy.expressions.values import Value
from costlens_policy.runs import run_at, run_depth
from costlens_policy.tokens import (
    ESTIMATE,
    KEY_KINDS,
    PAYLOADS,
    KeyKind,
    count_messages,
    is_data,
    media_kind,
    media_of_key,
)

__all__ = ["BUCKETS", "bucket"]


BUCKETS: Final = 10_000


@implements("hash_string", "hash_string_string")
def bucket(key: str, salt: str = "") -> int:
    """Return the bucket of a key, from 0 to 9,999: the first 8 bytes of SHA-256 over salt, a zero byte and key."""
    digest = hashlib.sha256(utf8(salt) + b"\0" + utf8(key)).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


@implements("sampled_string_double", "sampled_string_int")
def sampled(key: str, percent: float) -> bool:
    return _sampled(key, "", percent)


@implements("sampled_string_string_double", "sampled_string_string_int")
def sampled_with_salt(key: str, salt: str, percent: float) -> bool:
    return _sampled(key, salt, percent)


def _sampled(key: str, salt: str, percent: float) -> bool:
    """Return whether the bucket of a key is among the first: exactly ``hash(key, salt) < percent * 100``."""
    if not 0 <= percent <= 100:
        raise CelError(BAD_ARGUMENT, "a share must be from 0 to 100 percent")
    return bucket(key, salt) < _buckets(percent)


@lru_cache(1024, typed=True)
def _buckets(percent: float) -> int:
    """Return how many buckets a share takes: what is less than a bucket takes one, and nothing takes none."""
    return ceil(Decimal(repr(float(percent))) * BUCKETS / 100)


_GLOB: Final = re.compile(r"(\*+)|(\?)|\[(!?)(\][^\]\\]*|[^\]\\]+)\]|(.)", re.DOTALL)


@implements("glob_string")
def glob(text: str, pattern: str, work: Work | None = None) -> bool:
    return _glob_matcher(pattern)(text, work)


@lru_cache(maxsize=512)
def _glob_matcher(pattern: str) -> Callable[[str, Work | None], bool]:
    if "*" not in pattern and "?" not in pattern and "[" not in pattern:
        return lambda text, work: text == pattern
    return matcher(f"^(?s:{''.join(map(_as_regex, _GLOB.finditer(pattern)))})$")


def _as_regex(part: re.Match[str]) -> str:
    if part[1]:
        return ".*"
    if part[2]:
        return "."
    if part[4]:
        escaped = re.sub(r"([\[\]^])", r"\\\1", part[4])
        return f"[{'^' if part[3] else ''}{escaped}]"
    if part[5] == "[":
        raise CelError(BAD_ARGUMENT, "the shell pattern has a `[` without a `]`")
    return re.escape(part[5])


@implements("digest_string")
def digest(text: str) -> str:
    """Return the first 32 hexadecimal digits of the SHA-256 of a text in UTF-8."""
    return hashlib.sha256(utf8(text)).hexdigest()[:32]


@implements("runAt_string_int")
def ancestor(path: str, depth: int) -> str:
    """Return the run at a depth on a path. Raises CelError for a depth below 1."""
    if depth < 1:
        raise CelError(BAD_ARGUMENT, f"the depth of a run must be at least 1, got {depth}")
    return run_at(path, depth)


implements("runDepth_string")(run_depth)


@implements("tokens_string")
def tokens_of_text(text: str) -> int:
    """Estimate the tokens of a text. It is always the built-in estimate, so that a rule means the same everywhere."""
    return ESTIMATE.count(text)


@implements("tokens_list")
def tokens_of_messages(messages: Sequence[Value]) -> int:
    """Estimate the tokens of a conversation in the shape of OpenAI or Anthropic. Raises CelError."""
    try:
        return count_messages(messages, ESTIMATE).tokens
    except RequestError:
        raise CelError(BAD_ARGUMENT, "a message has keys that are not strings, or is nested too deeply") from None


@implements("text_dyn")
def text_of(value: Value) -> str:
    """Return the texts of messages, a message, its content, or any part of it, a line end between each. It never fails.

    What no row of ``KEY_KINDS`` names is text. Raises LimitError where all of it is too much for one value.
    """
    return _joined([value])


@implements("text_request")
def text_of_request(request: Mapping[str, Value]) -> str:
    """Return the texts of a request: its system text, and its prompt or its messages."""
    system = request["params"].get("system") if "params" in request else None
    return _joined([system, *(request[name] for name in ("prompt", "messages") if name in request)])


def _joined(values: Sequence[Value]) -> str:
    texts: list[str] = []
    for value in values:
        _collect(value, texts)
    check_size(sum(map(len, texts)) + len(texts))
    text = "\n".join(texts)
    # Half of a surrogate pair, which JSON can bring in, would make every pattern fail.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _collect(value: Value, texts: list[str]) -> None:
    """Add the texts of a message, a part, or a list of them."""
    if isinstance(value, list | tuple):
        for item in value:
            _collect(item, texts)
    elif not isinstance(value, dict):
        _collect_any(value, texts)
    elif media_kind(value) is not None:
        _collect_around(value, texts)
    else:
        for key, item in value.items():
            _collect_at(KEY_KINDS.get(key) if isinstance(key, str) else None, key, item, texts)


def _collect_at(place: KeyKind | None, key: Value, value: Value, texts: list[str]) -> None:
    match place:
        case KeyKind.PARTS | KeyKind.CALLS | KeyKind.ENTRY:
            _collect(value, texts)
        case KeyKind.MEDIA:
            for item in value if isinstance(value, list | tuple) else (value,):
                (_collect if media_of_key(key, item) is None else _collect_around)(item, texts)
        case KeyKind.JSON if isinstance(value, str):
            _collect_json(value, texts)
        case KeyKind.TEXT | KeyKind.JSON:
            _collect_any(value, texts)
        case None:
            _collect_any({key: value}, texts)


def _collect_any(value: Value, texts: list[str]) -> None:
    """Add every text of any value, the keys and numbers of objects, too."""
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, list | tuple):
        for item in value:
            _collect_any(item, texts)
    elif isinstance(value, dict):
        for key, item in value.items():
            _collect_any(key, texts)
            _collect_any(item, texts)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        texts.append(format_text("%d", [value]))
    elif isinstance(value, bytes):
        texts.append(value.decode("utf-8", "replace"))


def _collect_around(value: Value, texts: list[str]) -> None:
    """Add the texts that stand around an image, a clip or a file, such as its title, and not where its bytes are."""
    if isinstance(value, list | tuple):
        for item in value:
            _collect_around(item, texts)
    elif isinstance(value, dict):
        for key, item in value.items():
            if KEY_KINDS.get(key) is not KeyKind.MARK and not (key in PAYLOADS and isinstance(item, str | bytes)):
                _collect_around(item, texts)
    elif isinstance(value, str) and not is_data(value, in_media=False):
        texts.append(value)


def _collect_json(text: str, texts: list[str]) -> None:
    """Add what a JSON text says: its escapes hide nothing. What is not JSON, or nests too deeply, is added as it is."""
    try:
        _collect_any(json.loads(text, object_pairs_hook=_pairs), texts)
    except (ValueError, RecursionError):
        texts.append(text)


def _pairs(entries: list[tuple[str, Value]]) -> list[Value]:
    """Return keys and values in turn: of a key that is there twice, both values."""
    return [part for entry in entries for part in entry]


@implements("usd_int_double")
def cost_of_tokens(tokens: int, usd_per_million: float) -> float:
    """Return what tokens cost at a price; a double, to decide with and not to add up."""
    return tokens * usd_per_million / 1e6
