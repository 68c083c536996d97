"""The kinds of events in streams, whoever sends them: one row for each.

Sources: the API references of OpenAI (responses, images, audio), Anthropic (messages), Cohere (chat v1 and v2) and
Mistral (conversations); the streaming helpers of OpenAI's and Anthropic's SDKs; LangChain; OpenAI's agents.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["DELTA", "EVENTS", "LIFE", "MESSAGE", "OVER", "RESPONSES", "STARTS", "WHOLE", "Event"]

DELTA: Final = "delta"
WHOLE: Final = "whole"


MESSAGE: Final = "message"
"""Anthropic's whole message, which its helper has before it is whole, too."""


class Event(NamedTuple):
    """A kind of event: the channel of its texts, None for one without any; whether its usage is that of the whole."""

    channel: str | None = DELTA
    firm: bool = False


EVENTS: Final[dict[str, Event]] = {
    # Anthropic
    "message_start": Event(),
    "content_block_start": Event(),
    "content_block_delta": Event(),
    "content_block_stop": Event("block"),
    "message_delta": Event(firm=True),
    "message_stop": Event(WHOLE, firm=True),
    MESSAGE: Event(WHOLE, firm=True),
    "ping": Event(None),
    "error": Event(None),
    # Anthropic's helper, which passes on the raw events, too
    **dict.fromkeys(("text", "thinking", "input_json", "compaction"), Event("helper")),
    **dict.fromkeys(("citation", "signature"), Event(None)),
    # OpenAI's helper for chat completions
    "chunk": Event(),
    **dict.fromkeys(("content.delta", "refusal.delta"), Event("helper")),
    **dict.fromkeys(("content.done", "refusal.done", "tool_calls.function.arguments.done"), Event("done")),
    "tool_calls.function.arguments.delta": Event("helper"),
    **dict.fromkeys(
        (f"logprobs.{what}.{when}" for what in ("content", "refusal") for when in ("delta", "done")), Event(None)
    ),
    # Cohere
    **dict.fromkeys(
        ("message-start", "content-start", "content-delta", "content-end", "tool-plan-delta", "tool-call-start",
         "tool-call-delta", "tool-call-end", "stream-start", "text-generation", "tool-calls-chunk"),
        Event(),
    ),
    **dict.fromkeys(("tool-calls-generation", "search-queries-generation"), Event(WHOLE)),
    **dict.fromkeys(("citation-start", "citation-end", "citation-generation", "search-results", "debug"), Event(None)),
    "message-end": Event(firm=True),
    "stream-end": Event(WHOLE, firm=True),
    # OpenAI's images, transcriptions and speech
    **dict.fromkeys(("image_generation.partial_image", "image_edit.partial_image", "speech.audio.delta"), Event()),
    "transcript.text.delta": Event(),
    "transcript.text.segment": Event(None),
    **dict.fromkeys(
        ("image_generation.completed", "image_edit.completed", "speech.audio.done", "transcript.text.done"),
        Event(WHOLE, firm=True),
    ),
    # Mistral's conversations
    **dict.fromkeys(("conversation.response.started", "conversation.response.error"), Event(None)),
    **dict.fromkeys(("message.output.delta", "function.call.delta"), Event()),
    "conversation.response.done": Event(firm=True),
    # LangChain
    **dict.fromkeys(("AIMessageChunk", "ai"), Event()),
    # OpenAI's agents, whose other events say the same again
    "raw_response_event": Event(),
}  # fmt: skip
RESPONSES: Final = "response."
LIFE: Final = ("created", "queued", "in_progress", "completed", "incomplete", "failed", "cancelled", "done")
OVER: Final = frozenset(LIFE[3:])
STARTS: Final = ("message_start", "response.created", "message-start", "stream-start")
