"""Our own functions for the rules of LLM traffic: a sticky bucket, and shell patterns."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from costlens_policy.expressions.runtime.errors import BAD_ARGUMENT, CelError
from costlens_policy.expressions.runtime.implementations import implements
from costlens_policy.expressions.runtime.limits import Work
from costlens_policy.expressions.runtime.regexes import matcher
from costlens_policy.expressions.runtime.text import utf8

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
        raise CelError(BAD_ARGUMENT, "the shell pattern has a `[` without its `]`")
    return re.escape(part[5])
