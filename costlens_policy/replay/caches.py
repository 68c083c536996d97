"""Prompt caches of providers, as a model: how much of a prompt is read from a cache, and how much written to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from costlens_policy.catalogue import Usage
from costlens_policy.replay.settings import Settings
from costlens_policy.replay.traffic.row import Row

__all__ = ["PromptCaches"]


def _by_kind(recorded: Usage | None, prompt: int, output: int) -> Usage:
    """Return the tokens of a call of these lengths that no cache serves: those that were no text are none now."""
    if recorded is None:
        return Usage(input=prompt, output=output)
    sound = min(recorded.input_audio + recorded.cache_read_audio, prompt)
    images = min(recorded.input_image, prompt - sound)
    thought, spoken, drawn = recorded.reasoning, recorded.output_audio, recorded.output_image
    return Usage(
        input=prompt - sound - images, input_audio=sound, input_image=images, output=output - thought - spoken - drawn,
        reasoning=thought, output_audio=spoken, output_image=drawn,
    )  # fmt: skip


class PromptCaches:
    """The caches of all sessions and models. Rows are asked for in the order of time."""

    __slots__ = ("_block_tokens", "_blocks", "_sessions", "_settings")

    def __init__(self, settings: Settings, block_tokens: int = 0) -> None:
        self._settings = settings
        self._block_tokens = block_tokens
        self._sessions: dict[tuple[str, str], tuple[int, datetime]] = {}
        self._blocks: dict[tuple[str, Any], datetime] = {}

    def usage(self, row: Row, model: str, recorded_model: str | None, prompt: int, output: int) -> Usage:
        """Return the buckets of a call on a model, and remember what its cache holds now.

        ``prompt`` and ``output`` are the tokens of the call as it is sent to this model. Only text is cached: recorded
        tokens of other kinds stay what they are.
        """
        plain = _by_kind(row.recorded, prompt, output)
        if not self._settings.cache:
            return plain
        if row.session is None and not row.prefix:
            same = row.recorded is not None and model == recorded_model and row.prompt_tokens == prompt
            return row.recorded if same and row.recorded is not None else plain
        if prompt < self._settings.cache_min_tokens:
            return plain
        read = self._read_blocks(row, model, prompt) if row.prefix else self._read_session(row, model, prompt)
        read, text = min(read, plain.input), plain.input
        if self._settings.long_lived:
            return replace(plain, input=0, cache_read=read, cache_write_1h=text - read)
        return replace(plain, input=0, cache_read=read, cache_write=text - read)

    def _read_session(self, row: Row, model: str, prompt: int) -> int:
        assert row.session is not None
        key = (row.session, model)
        held, ends = self._sessions.get(key, (0, row.time))
        self._sessions[key] = (prompt, row.time + self._settings.cache_lifetime)
        return held if held <= prompt and row.time < ends else 0

    def _read_blocks(self, row: Row, model: str, prompt: int) -> int:
        """Read the leading blocks that any call of the model left behind: equal ids share everything before them."""
        alive, leading = 0, True
        ends = row.time + self._settings.cache_lifetime
        for block in row.prefix:
            key = (model, block)
            leading = leading and self._blocks.get(key, row.time) > row.time
            alive += leading
            self._blocks[key] = ends
        return min(alive * self._block_tokens, prompt)
