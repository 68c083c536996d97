"""What must hold of every stream: nothing in it counts as nothing, or the most that the call may cost is charged."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from costlens_policy.engine.decision import Estimate
from costlens_policy.guard.stream_charges import judge
from costlens_policy.guard.streams import StreamMeter
from costlens_policy.guard.streams.meter import Ending
from costlens_policy.tokens import BuiltinEstimate
from costlens_policy.usage import portions_of
from tests.guard.stream_shapes import STREAMS

__all__ = ["CHUNKS", "ENDINGS", "examine_bytes", "examine_stream", "mutated"]

LIMIT: Final = 100
PROMPT: Final = 1000
ENDINGS: Final[tuple[Ending, ...]] = ("ended", "left", "failed")
CHUNKS: Final[list[Any]] = [chunk for stream in STREAMS.values() for chunk in stream]
_COUNT: Final = BuiltinEstimate().count
_ESTIMATE: Final = Estimate(Decimal(1), PROMPT, LIMIT, 1, "request", Decimal(1))
_FAR_OFF: Final = 4
"""How far a count of ours may be above the provider's before its usage is doubted."""
_NO_OUTPUT: Final = frozenset({
    "context", "snapshot", "response_metadata", "chat_history", "annotations", "citations", "metrics", "parsed",
    "instructions",
})  # fmt: skip
"""Keys of what is no output, or is told elsewhere, too: see `costlens_policy.guard.streams.chunks`."""
_WORDS: Final = (
    "hologram",
    "delta",
    "text",
    "usage",
    "tokens",
    "total_tokens",
    "content",
    "type",
    "choices",
    "data",
    "",
)
_VALUES: Final = (
    None,
    0,
    1,
    7,
    10**6,
    -3,
    0.5,
    True,
    "",
    "word " * 40,
    [],
    {},
    "message_stop",
    "AIMessageChunk",
    b"\xff",
)


def examine_bytes(data: bytes) -> None:
    """Take bytes for a stream: the first says how it ends, and each line is a chunk, as JSON where it is that."""
    lines = data[1:].decode("utf-8", "replace").split("\n")
    examine_stream([_read(line) for line in lines], ENDINGS[(data[:1] or b"\0")[0] % len(ENDINGS)])


def _read(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return line


def examine_stream(chunks: Iterable[Any], ending: Ending) -> None:
    """Raise AssertionError where a stream is charged less than a plain walk over its numbers and texts finds."""
    chunks, meter = list(chunks), StreamMeter()
    for chunk in chunks:
        meter.see(chunk)
    meter.end(ending)
    verdicts = [
        judge(meter, answer, _ESTIMATE, _COUNT, charge_hold=False, may_reason=False) for answer in meter.answers
    ]
    if not meter.started or any(verdict.basis == "assumed" for verdict in verdicts):
        assert all(verdict.note for verdict in verdicts if verdict.basis == "assumed")
        return
    portions = [portion for verdict in verdicts for portion in portions_of("m", verdict.used)]
    usages = [portion.usage for portion in portions]
    told = sum(usage.tokens for usage in usages) + sum(item.unknown for item in portions)
    written = told - sum(usage.prompt_tokens for usage in usages)
    leaves = list(_walk(chunks))
    most = max((number for name, number in leaves if isinstance(number, int) and _is_count(name)), default=0)
    if not any("billed_units" in (answer.usage or {}).get("usage", ()) for answer in meter.answers):
        assert told >= most, (told, most)  # Cohere bills less than it counts
    longest = max((text for name, text in leaves if isinstance(text, str) and _is_text(name)), key=len, default="")
    tokens = _COUNT(longest)
    assert written >= min(tokens / _FAR_OFF, LIMIT) or len(longest) <= 20 * written, (longest[:80], tokens, written)
    assert all(usage.prompt_tokens for usage in usages), "every call has a prompt"


def _is_count(name: str) -> bool:
    return "token" in name and "details" not in name


def _is_text(name: str) -> bool:
    return name in (
        "text",
        "content",
        "thinking",
        "partial_json",
        "arguments",
        "refusal",
        "reasoning_content",
        "hologram",
    )


def _walk(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every number and text with the name that it has."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if "usage" in str(key).lower():
                yield from ((at, leaf) for at, leaf in _walk(item, str(key)) if isinstance(leaf, int))
                continue
            if key in _NO_OUTPUT or (value.get("type") == "error" or "logprobs" in str(value.get("type"))):
                continue
            yield from _walk(item, str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _walk(item, name)
    elif isinstance(value, int | str) and not isinstance(value, bool):
        yield name, value


def mutated(chunk: Any, chance: random.Random) -> Any:
    """Return a chunk with something in it changed: a value, a name, or what stands around it."""
    if isinstance(chunk, dict) and chunk:
        key = chance.choice(list(chunk))
        turn = chance.randrange(8)
        rest = {name: item for name, item in chunk.items() if name != key}
        if turn < 5:
            return {**rest, key: mutated(chunk[key], chance)}
        return {
            **rest,
            (chance.choice(_WORDS) if turn == 5 else key): chunk[key] if turn == 5 else chance.choice(_VALUES),
        }
    if isinstance(chunk, list) and chunk:
        at = chance.randrange(len(chunk))
        return [*chunk[:at], mutated(chunk[at], chance), *chunk[at + chance.randrange(2) :]]
    return chance.choice((*_VALUES, {chance.choice(_WORDS): chance.choice(_VALUES)}, chance.choice(CHUNKS)))
