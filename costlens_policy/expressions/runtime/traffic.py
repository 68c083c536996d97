"""Our own functions for the rules of LLM traffic: tokens, what they cost, and sticky shares of traffic."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from math import ceil
from typing import Final

from costlens_policy.errors import RequestError
from costlens_policy.expressions.errors import BAD_ARGUMENT, CelError
from costlens_policy.expressions.limits import Work
from costlens_policy.expressions.runtime.functions import implements
from costlens_policy.expressions.runtime.regex import matcher
from costlens_policy.expressions.runtime.strings import utf8
from costlens_policy.expressions.values import Value
from costlens_policy.tokens import ESTIMATE, count_messages

__all__ = ["BUCKETS", "bucket"]


BUCKETS: Final = 10_000

_GLOB: Final = re.compile(r"(\*+)|(\?)|\[(!?)(\][^\]\\]*|[^\]\\]+)\]|(.)", re.DOTALL)


@implements("hash_string", "hash_string_string")
def bucket(key: str, salt: str = "") -> int:
    """Return the bucket of a key, from 0 to 9,999: the first 8 bytes of SHA-256 over salt, a zero byte and key."""
    digest = hashlib.sha256(utf8(salt) + b"\0" + utf8(key)).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


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


@implements("usd_int_double")
def cost_of_tokens(tokens: int, usd_per_million: float) -> float:
    """Return what tokens cost at a price; a double, to decide with and not to add up."""
    return tokens * usd_per_million / 1e6


@implements("sampled_string_double", "sampled_string_int")
def sampled(key: str, percent: float) -> bool:
    return _sampled(key, "", percent)


@implements("sampled_string_string_double", "sampled_string_string_int")
def sampled_with_salt(key: str, salt: str, percent: float) -> bool:
    return _sampled(key, salt, percent)


def _sampled(key: str, salt: str, percent: float) -> bool:
    """Say whether the bucket of a key is among the first: the same as ``hash(key, salt) < percent * 100``, exactly."""
    if not 0 <= percent <= 100:
        raise CelError(BAD_ARGUMENT, "a share must be from 0 to 100 percent")
    return bucket(key, salt) < _buckets(percent)


@lru_cache(1024, typed=True)
def _buckets(percent: float) -> int:
    """Return how many buckets a share takes: what is less than a bucket takes one, and nothing takes none."""
    return ceil(Decimal(repr(float(percent))) * BUCKETS / 100)
