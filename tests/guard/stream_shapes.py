"""Streams as SDKs hand them out, of the same answer: 1,000 tokens of prompt, 50 of output, the texts of ``SAID``."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, Final

__all__ = ["SAID", "STREAMS", "as_objects"]

SAID: Final = ["one two three four five ", "six seven eight nine ten"]
_CHAT_USAGE: Final = {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050}
_ANTHROPIC_START: Final = {
    "type": "message_start",
    "message": {"id": "m", "type": "message", "role": "assistant", "model": "nano", "content": [], "stop_reason": None,
                "usage": {"input_tokens": 1000, "output_tokens": 1}},
}  # fmt: skip
_RESPONSES_USAGE: Final = {"input_tokens": 1000, "output_tokens": 50, "total_tokens": 1050}
_COUNTS: Final = {"prompt_tokens": 1000, "completion_tokens": 50}


def _chat(delta: Any, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": None, "logprobs": None}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "nano", "choices": [choice], **more}


def _chat_end(**more: Any) -> dict[str, Any]:
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "nano", "choices": [], **more}


def _block(delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": delta}


_CHAT: Final = [
    _chat({"role": "assistant", "content": ""}),
    *(_chat({"content": text}, usage=None) for text in SAID),
    _chat_end(usage=_CHAT_USAGE),
]
_ANTHROPIC: Final = [
    _ANTHROPIC_START,
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    *(_block({"type": "text_delta", "text": text}) for text in SAID),
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 50}},
    {"type": "message_stop"},
]
_WHOLE: Final = {
    **_ANTHROPIC_START["message"],
    "content": [{"type": "text", "text": "".join(SAID)}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1000, "output_tokens": 50},
}
_WIRE: Final = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in _ANTHROPIC)
_CHAT_WIRE: Final = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in _CHAT) + "data: [DONE]\n\n"


def _split(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


STREAMS: Final[dict[str, list[Any]]] = {
    "openai chat": _CHAT,
    "openai chat, refused": [*(_chat({"refusal": text}) for text in SAID), _CHAT[-1]],
    "openai chat, tool": [
        _chat({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "", "arguments": text}}]})
        for text in SAID
    ]
    + [_CHAT[-1]],
    "openai chat, function": [*(_chat({"function_call": {"name": "", "arguments": text}}) for text in SAID), _CHAT[-1]],
    "openai chat, reasoning": [*(_chat({"reasoning_content": text, "content": None}) for text in SAID), _CHAT[-1]],
    "openrouter, reasoning twice": [
        *(
            _chat({"content": "", "reasoning": text, "reasoning_details": [{"type": "reasoning.text", "text": text}]})
            for text in SAID
        ),
        _CHAT[-1],
    ],
    "openai completions": [
        *({"object": "text_completion", "choices": [{"text": text, "index": 0}]} for text in SAID),
        {"object": "text_completion", "choices": [], "usage": _CHAT_USAGE},
    ],
    "groq": [*_CHAT[:-1], {**_chat({}), "x_groq": {"id": "r", "usage": _CHAT_USAGE}}],
    "usage beside the last text": [_CHAT[1], {**_CHAT[2], "usage": _CHAT_USAGE}],
    "usage in every chunk": [
        {**_CHAT[1], "usage": {"prompt_tokens": 1000, "completion_tokens": 25}},
        {**_CHAT[2], "usage": _CHAT_USAGE},
    ],
    "openai helper": [
        event
        for text in SAID
        for event in (
            {"type": "chunk", "chunk": _chat({"content": text}), "snapshot": {"choices": [{"message": {}}]}},
            {"type": "content.delta", "delta": text, "snapshot": text, "parsed": None},
        )
    ]
    + [
        {"type": "content.done", "content": "".join(SAID), "parsed": None},
        {"type": "chunk", "chunk": _CHAT[-1], "snapshot": {}},
    ],
    "openai responses": [
        {"type": "response.created", "response": {"usage": None, "model": "nano", "instructions": "Be kind."}},
        {"type": "response.output_item.added", "item": {"type": "message", "content": [], "role": "assistant"}},
        {"type": "response.content_part.added", "part": {"type": "output_text", "text": "", "annotations": []}},
        *({"type": "response.output_text.delta", "delta": text, "item_id": "i"} for text in SAID),
        {"type": "response.output_text.done", "text": "".join(SAID), "item_id": "i"},
        {"type": "response.content_part.done", "part": {"type": "output_text", "text": "".join(SAID)}},
        {
            "type": "response.output_item.done",
            "item": {"type": "message", "content": [{"type": "output_text", "text": "".join(SAID)}]},
        },
        {"type": "response.completed", "response": {"usage": _RESPONSES_USAGE, "model": "nano"}},
    ],
    "openai responses, tool": [
        *({"type": "response.function_call_arguments.delta", "delta": text, "item_id": "i"} for text in SAID),
        {"type": "response.function_call_arguments.done", "arguments": "".join(SAID), "item_id": "i"},
        {"type": "response.incomplete", "response": {"usage": _RESPONSES_USAGE}},
    ],
    "anthropic": _ANTHROPIC,
    "anthropic, thinking": [
        _ANTHROPIC_START,
        *(_block({"type": "thinking_delta", "thinking": text}) for text in SAID),
        _block({"type": "signature_delta", "signature": "c2VhbA=="}),
        *_ANTHROPIC[-3:],
    ],
    "anthropic, tool": [
        _ANTHROPIC_START,
        *(_block({"type": "input_json_delta", "partial_json": text}) for text in SAID),
        *_ANTHROPIC[-3:],
    ],
    "anthropic helper": [
        *_ANTHROPIC[:4],
        {"type": "text", "text": SAID[0], "snapshot": SAID[0]},
        _ANTHROPIC[4],
        {"type": "text", "text": SAID[1], "snapshot": "".join(SAID)},
        {"type": "content_block_stop", "index": 0, "content_block": _WHOLE["content"][0]},
        _ANTHROPIC[-2],
        {"type": "message_stop", "message": _WHOLE},
    ],
    "gemini": [
        {
            "candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}],
            "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": tokens},
            "modelVersion": "nano",
            "responseId": "g",
        }
        for text, tokens in zip(SAID, (25, 50), strict=True)
    ],
    "gemini, thoughts and functions": [
        {"candidates": [{"content": {"parts": [{"text": SAID[0], "thought": True}]}}]},
        {"candidates": [{"content": {"parts": [{"functionCall": {"name": "", "args": {"": SAID[1]}}}]}}]},
        {"candidates": [], "usage_metadata": {"prompt_token_count": 1000, "candidates_token_count": 50}},
    ],
    "bedrock": [
        {"messageStart": {"role": "assistant"}},
        *({"contentBlockDelta": {"delta": {"text": text}, "contentBlockIndex": 0}} for text in SAID),
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": {"inputTokens": 1000, "outputTokens": 50}, "metrics": {"latencyMs": 5}}},
    ],
    "bedrock, tool and reasoning": [
        {"contentBlockDelta": {"delta": {"reasoningContent": {"text": SAID[0]}}, "contentBlockIndex": 0}},
        {"contentBlockStart": {"start": {"toolUse": {"toolUseId": "t", "name": ""}}, "contentBlockIndex": 1}},
        {"contentBlockDelta": {"delta": {"toolUse": {"input": SAID[1]}}, "contentBlockIndex": 1}},
        {"metadata": {"usage": {"inputTokens": 1000, "outputTokens": 50}, "metrics": {"latencyMs": 5}}},
    ],
    "bedrock, a model's own": [{"chunk": {"bytes": json.dumps(event).encode()}} for event in _ANTHROPIC],
    "cohere": [
        {"type": "message-start", "id": "c", "delta": {"message": {"role": "assistant", "content": []}}},
        {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        *({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}} for text in SAID),
        {"type": "content-end", "index": 0},
        {
            "type": "message-end",
            "delta": {
                "finish_reason": "COMPLETE",
                "usage": {"billed_units": {"input_tokens": 1000, "output_tokens": 50}},
            },
        },
    ],
    "cohere's first": [
        {"event_type": "stream-start", "generation_id": "g", "is_finished": False},
        *({"event_type": "text-generation", "text": text, "is_finished": False} for text in SAID),
        {
            "event_type": "stream-end",
            "is_finished": True,
            "finish_reason": "COMPLETE",
            "response": {
                "text": "".join(SAID),
                "meta": {"billed_units": {"input_tokens": 1000, "output_tokens": 50}},
                "chat_history": [{"role": "USER", "message": "Hello"}],
            },
        },
    ],
    "mistral": [{"data": chunk} for chunk in _CHAT],
    "mistral, thinking": [
        {"data": _chat({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": SAID[0]}]}]})},
        {"data": _chat({"content": [{"type": "text", "text": SAID[1]}]})},
        {"data": {**_chat({"content": ""}), "usage": _CHAT_USAGE}},
    ],
    "ollama": [
        *({"model": "nano", "message": {"role": "assistant", "content": text}, "done": False} for text in SAID),
        {"model": "nano", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop",
         "total_duration": 5, "prompt_eval_count": 1000, "eval_count": 50},
    ],
    "ollama, generate": [
        *({"model": "nano", "response": text, "done": False} for text in SAID),
        {"model": "nano", "response": "", "done": True, "context": [1, 2], "prompt_eval_count": 1000, "eval_count": 50},
    ],
    "langchain": [
        {"type": "AIMessageChunk", "content": "", "usage_metadata": {"input_tokens": 1000, "output_tokens": 0}},
        *({"type": "AIMessageChunk", "content": [{"type": "text", "text": text, "index": 0}]} for text in SAID),
        {"type": "AIMessageChunk", "content": "", "usage_metadata": {"input_tokens": 0, "output_tokens": 20}},
        {"type": "AIMessageChunk", "content": "", "usage_metadata": {"input_tokens": 0, "output_tokens": 30},
         "response_metadata": {"finish_reason": "stop"}, "chunk_position": "last"},
    ],
    "langgraph": [
        *(({"type": "AIMessageChunk", "content": text}, {"langgraph_node": "a"}) for text in SAID),
        ({"type": "AIMessageChunk", "content": "", "usage_metadata": {"input_tokens": 1000, "output_tokens": 50}}, {}),
    ],
    "langgraph, by runs": [
        {"type": "AIMessageChunk", "id": "run-1", "content": text, "usage_metadata": usage}
        for text, usage in zip(SAID, (None, {"input_tokens": 1000, "output_tokens": 50}), strict=True)
    ],
    "openai agents": [
        *(
            {"type": "raw_response_event", "data": {"type": "response.output_text.delta", "delta": text}}
            for text in SAID
        ),
        {"type": "raw_response_event", "data": {"type": "response.completed", "response": {"usage": _RESPONSES_USAGE}}},
    ],
    "litellm": [
        *(
            _chat({"reasoning_content": text, "thinking_blocks": [{"type": "thinking", "thinking": text}]},
                  provider_specific_fields=None, citations=None)
            for text in SAID
        ),
        _CHAT[-1],
    ],
    "events of the wire, by lines": _WIRE.split("\n"),
    "events of the wire, in pieces": _split(_WIRE, 17),
    "events of the wire, in bytes": [piece.encode() for piece in _split(_CHAT_WIRE, 40)],
    "chat, by lines": [line for line in _CHAT_WIRE.split("\n") if line],
    "chat, as texts of JSON": [json.dumps(chunk) for chunk in _CHAT],
    "gemini, an array in pieces": [
        piece.encode()
        for piece in _split(
            json.dumps(
                [
                    {"candidates": [{"content": {"parts": [{"text": text}]}}],
                     "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 50}}
                    for text in SAID
                ],
                indent=1,
            ),
            30,
        )
    ],
    "lines of JSON, in bytes": [
        (json.dumps({"message": {"content": text}, "done": False}) + "\n").encode() for text in SAID
    ]
    + [json.dumps({"done": True, "prompt_eval_count": 1000, "eval_count": 50}).encode()],
    "events with their data": [SimpleNamespace(event="", data=json.dumps(chunk)) for chunk in _CHAT],
}  # fmt: skip
"""Whole streams, by whose they are. Each says the texts of ``SAID``, as text, thought or arguments of tools."""


def as_objects(value: Any) -> Any:
    """Return the same with objects in place of mappings."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) and key.isidentifier() for key in value):
            return value
        return SimpleNamespace(**{key: as_objects(item) for key, item in value.items()})
    if isinstance(value, tuple):  # a chunk, and what a framework adds to it
        return (as_objects(value[0]), *value[1:])
    if isinstance(value, list):
        return list(map(as_objects, value))
    return value
