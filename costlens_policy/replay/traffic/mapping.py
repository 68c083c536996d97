"""Which column of the traffic says what."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Final, Literal

from costlens_policy.replay.traffic.counts import COUNTS
from costlens_policy.replay.traffic.errors import TrafficError

__all__ = ["FIELDS", "READY", "Mapping", "TimeUnit", "mapping_of"]

TimeUnit = Literal["iso", "s", "ms", "us", "ns"]

FIELDS: Final = ("time", "id", "model", "session", *COUNTS, "service_tier", "cost", "prefix", "usage")
"""What replay itself needs of a row. ``prompt_tokens`` includes what was read from and written to caches,
``output_tokens`` the reasoning; ``usage`` is a provider's object and stands in for the counts. ``request.NAME``
besides is an attribute of the request.
"""


@dataclass(frozen=True, slots=True)
class Mapping:
    """``columns`` and ``constants`` go by field.

    A column may be a path (``usage.input_tokens``) and may have alternatives (``a|b``, the first that is there).
    ``relative`` times count from the start of the replay. ``outcomes`` says by model which column tells whether its
    answer was right, ``answers`` which one holds its text. ``block_tokens`` is the size of a block of ``prefix``.
    """

    name: str
    columns: MappingType[str, str]
    constants: MappingType[str, Any] = field(default_factory=dict)
    outcomes: MappingType[str, str] = field(default_factory=dict)
    answers: MappingType[str, str] = field(default_factory=dict)
    time_unit: TimeUnit = "iso"
    relative: bool = False
    block_tokens: int = 0
    drop: MappingType[str, tuple[str, ...]] = field(default_factory=dict)
    """Rows that have one of these values in a column are left out, and counted."""
    spans: bool = False

    def with_columns(self, columns: MappingType[str, str], constants: MappingType[str, Any]) -> Mapping:
        """Return the mapping with further columns and constants. Raises ``TrafficError`` for a field there is not."""
        for name in (*columns, *constants):
            if name not in FIELDS and not name.startswith("request."):
                raise TrafficError(f"no field `{name}` of a row{_meant(name)}")
        return replace(self, columns={**self.columns, **columns}, constants={**self.constants, **constants})


def _meant(name: str) -> str:
    close = get_close_matches(name, FIELDS, n=1)
    known = ", ".join(FIELDS)
    return f"; did you mean `{close[0]}`?" if close else f"; there are {known}, and `request.NAME` for attributes"


_STRONG: Final = "gpt-4-1106-preview"
_WEAK: Final = "mistralai/Mixtral-8x7B-Instruct-v0.1"

READY: Final[MappingType[str, Mapping]] = {
    item.name: item
    for item in (
        Mapping("plain", {name: name for name in FIELDS if name not in ("usage", "prefix")}),
        Mapping(
            "azure-llm",
            {"time": "TIMESTAMP", "prompt_tokens": "ContextTokens", "output_tokens": "GeneratedTokens"},
        ),
        Mapping(
            "claude-code",
            {
                "time": "request_arrival_delta_s", "session": "session_id", "model": "model_id",
                "prompt_tokens": "input_tokens", "output_tokens": "output_tokens",
            },
            time_unit="s",
            relative=True,
        ),
        Mapping(
            "mooncake",
            {"time": "timestamp", "prompt_tokens": "input_length", "output_tokens": "output_length",
             "prefix": "hash_ids"},
            time_unit="ms",
            relative=True,
            block_tokens=512,
        ),
        Mapping(
            "routellm-gsm8k",
            {"request.prompt": "prompt"},
            outcomes={"gpt-4-1106-preview": _STRONG, "mixtral-8x7b": _WEAK},
            answers={"gpt-4-1106-preview": f"{_STRONG}_response", "mixtral-8x7b": f"{_WEAK}_response"},
        ),
        Mapping(
            "routellm-mmlu",
            {"request.prompt": "prompt"},
            {"output_tokens": 1},
            outcomes={"gpt-4-1106-preview": _STRONG, "mixtral-8x7b": _WEAK},
            drop={"domain": ("high_school_mathematics",)},  # its answers were cut off by a format, see docs/replay.md
        ),
        Mapping(
            "litellm",
            {
                "time": "startTime", "id": "request_id", "model": "model", "session": "session_id",
                "prompt_tokens": "prompt_tokens", "output_tokens": "completion_tokens", "cost": "spend",
                "request.user": "user|end_user", "request.team": "team_id",
            },
        ),
        Mapping(
            "otel",
            {
                "time": "start_time_unix_nano|startTimeUnixNano|start_time", "id": "span_id|spanId",
                "model": "attributes.gen_ai.response.model|attributes.gen_ai.request.model",
                "session": "attributes.gen_ai.conversation.id|attributes.session.id", "usage": "attributes",
            },
            time_unit="ns",
            spans=True,
        ),
        Mapping(
            "openai",
            {
                "time": "created|created_at|response.body.created|response.body.created_at",
                "id": "id", "model": "model|response.body.model", "usage": "usage|response.body.usage",
                "request.user": "user",
            },
            time_unit="s",
        ),
        Mapping(
            "anthropic",
            {
                "time": "created_at|timestamp", "id": "id|custom_id|result.message.id",
                "model": "model|message.model|result.message.model", "session": "session_id|sessionId",
                "usage": "usage|message.usage|result.message.usage",
            },
        ),
    )
}  # fmt: skip
"""Mappings that need no file."""


def mapping_of(content: Any, name: str) -> Mapping:
    """Return the mapping that a file's content describes. Raises ``TrafficError`` for what is none.

    The keys are ``based_on`` (a ready mapping), ``columns``, ``constants``, ``outcomes``, ``answers``, ``time_unit``,
    ``relative`` and ``block_tokens``.
    """
    if not isinstance(content, dict):
        raise TrafficError(f"`{name}` is no mapping; write `columns:` with a field and its column on each line")
    known = ("based_on", "columns", "constants", "outcomes", "answers", "time_unit", "relative", "block_tokens")
    for key in content:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            raise TrafficError(
                f"`{name}` has an unknown key `{key}`" + (f"; did you mean `{close[0]}`?" if close else "")
            )
    start = _base(content.get("based_on"), name)
    given = {key: content[key] for key in known[3:] if key in content}
    for key in ("columns", "constants", "outcomes", "answers"):
        if not isinstance(content.get(key, {}), dict):
            raise TrafficError(f"`{key}` of `{name}` is an object of names")
    _check(given, name)
    columns = {str(key): str(value) for key, value in content.get("columns", {}).items()}
    return replace(start, name=name, **given).with_columns(columns, content.get("constants", {}))


def _base(name: Any, file: str) -> Mapping:
    if name is None:
        return Mapping(file, {})
    if name not in READY:
        raise TrafficError(f"no ready mapping `{name}`; there are {', '.join(READY)}")
    return READY[name]


def _check(given: MappingType[str, Any], name: str) -> None:
    if given.get("time_unit", "iso") not in ("iso", "s", "ms", "us", "ns"):
        raise TrafficError(f"`time_unit` of `{name}` is none; there are iso, s, ms, us, ns")
    if not isinstance(given.get("relative", False), bool):
        raise TrafficError(f"`relative` of `{name}` is true or false")
    blocks = given.get("block_tokens", 1)
    if isinstance(blocks, bool) or not isinstance(blocks, int) or blocks < 1:
        raise TrafficError(f"`block_tokens` of `{name}` is a whole number from 1 on")
