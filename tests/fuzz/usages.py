"""What must hold of every object that is taken for a usage: no token is lost, or the object is refused.

``told_by_a_walk`` knows nothing of shapes. It walks over all numbers and gives the least that a reading may come to.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, Final

from costlens_policy.catalogue import Usage
from costlens_policy.usage import UsageError, read_usage
from costlens_policy.usage.names import MONEY, NAMES, REPEATED, TELEMETRY, role_of
from costlens_policy.usage.numbers import snake

__all__ = ["WORDS", "examine", "examine_object", "mutated"]

WORDS: Final = (
    *sorted(NAMES), "promptTokenCount", "inputTokens", "cacheReadInputTokens", "dream_tokens", "mystery", "total_time",
    "cost", "iterations", "modelUsage", "usage", "usage_metadata", "response", "details", "model", "service_tier",
    "inference_geo", "speed", "type",
)  # fmt: skip
_NUMBERS: Final = (0, 1, 7, 99, 100, 1_000, 65_536, 10**9, 2**40, 10**13, 10**40, -1, 0.5, 3.0, 1e300, True, None, "7")
_AROUND: Final = frozenset({
    "usage", "usageMetadata", "usage_metadata", "meta", "response", "message", "modelUsage", "iterations", "embedding",
    "embeddings",
})  # fmt: skip
_TEXTS: Final = ("flex", "us", "fast", "message", "compaction", "claude-opus-4-8", "\ud800", "", "x" * 300)


def examine(data: bytes) -> None:
    """Take bytes for JSON, and that for a usage. Raises AssertionError where tokens are lost, or whatever crashes."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    examine_object(value)


def examine_object(value: Any) -> None:
    """Read a value as a usage, and hold it against a plain walk over its numbers."""
    try:
        reported = read_usage(value)
    except UsageError:
        return
    told = _sum(reported.usage) + reported.unknown + sum(_sum(usage) for _, usage in reported.other_models)
    least = told_by_a_walk(value)
    assert told >= least, (told, least, value, reported)
    assert all("\n" not in note and note.isprintable() for note in reported.notes), reported.notes
    assert (reported.service_tier or "").isprintable()
    json.dumps([reported.service_tier, reported.answered, *reported.notes]).encode()


def told_by_a_walk(value: Any) -> int:
    """Return the largest number of tokens anywhere in a usage: whatever is part of what, no sum is below it.

    Left out are numbers that are known to be no tokens, and those that tell once more what stands elsewhere. Where a
    usage lies inside of something else, or beside an answer, which of the numbers belong to it is not known, and 0 is
    returned.
    """
    if not isinstance(value, dict) or not _AROUND.isdisjoint(value):
        return 0
    walked = dict(_walk(value, ""))
    if any(path.startswith(TELEMETRY) for path in walked):
        walked = {path: number for path, number in walked.items() if path.startswith(TELEMETRY)}
    if "billed_units" in value:  # what is counted beside it is not billed
        walked = {path: number for path, number in walked.items() if not path.startswith(("tokens.", "cached_tokens"))}
    return max((number for path, number in walked.items() if _counts(path)), default=0)


def _sum(usage: Usage) -> int:
    return usage.tokens


def _counts(path: str) -> bool:
    last = path.rpartition(".")[2]
    return "token" in last and not path.startswith(MONEY) and (role_of(path) or role_of(last)) not in ("none", "apart")


def _walk(value: Any, path: str) -> Iterator[tuple[str, int]]:
    if isinstance(value, dict):
        for name, item in value.items():
            inner = f"{path}.{snake(name)}" if path else snake(name)
            if f"{snake(name)}." not in REPEATED:
                yield from _walk(item, inner)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item, path)
    elif isinstance(value, int) and not isinstance(value, bool) and value > 0:
        yield path, value  # of several under one path, the last: less than their sum


def mutated(value: Any, chance: random.Random) -> Any:
    """Return an object with one to four things changed: names, numbers, nesting."""
    copy = json.loads(json.dumps(value))
    for _ in range(chance.randint(1, 4)):
        holder = chance.choice(list(_holders(copy)) or [{}])
        name = chance.choice([*holder, chance.choice(WORDS)])
        change = chance.randrange(6)
        if change == 0:
            holder.pop(name, None)
        elif change == 1:
            holder[chance.choice(WORDS)] = holder.pop(name, 1)
        elif change == 2:
            holder[name] = {chance.choice(WORDS): chance.choice(_NUMBERS)}
        elif change == 3:
            holder[name] = [{"modality": "AUDIO", "tokenCount": chance.choice(_NUMBERS)}, dict(holder)]
        else:
            holder[name] = chance.choice((*_NUMBERS, chance.choice(_TEXTS), chance.randrange(10**6)))
    return copy


def _holders(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _holders(item)
    elif isinstance(value, list):
        for item in value:
            yield from _holders(item)
