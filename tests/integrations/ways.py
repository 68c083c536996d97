"""Every way in which the SDKs are asked for an answer: one function for each, synchronous and asynchronous."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import pydantic

__all__ = ["ASYNC_WAYS", "TOOLS", "WAYS", "AsyncWay", "Way"]

Way = Callable[[Any], Any]
AsyncWay = Callable[[Any], Awaitable[Any]]

CHAT: Final[dict[str, Any]] = {"model": "asked", "messages": [{"role": "user", "content": "Where is my parcel?"}]}
MESSAGE: Final[dict[str, Any]] = {**CHAT, "max_tokens": 100}
RESPONSE: Final[dict[str, Any]] = {"model": "asked", "input": "Where is my parcel?"}
TOOLS: Final = [
    {"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}},
]


class Answer(pydantic.BaseModel):
    """A structured output."""

    text: str


def _chat(client: Any) -> Any:
    return client.chat.completions.create(**CHAT).choices[0].message.content


def _chat_tools(client: Any) -> Any:
    return client.chat.completions.create(**CHAT, tools=TOOLS).choices[0].message.content


def _chat_stream(client: Any) -> Any:
    return "".join(
        chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(**CHAT, stream=True)
    )


def _chat_helper(client: Any) -> Any:
    with client.chat.completions.stream(**CHAT) as stream:
        for _ in stream:
            pass
        return stream.get_final_completion().choices[0].message.content


def _chat_raw(client: Any) -> Any:
    raw = client.chat.completions.with_raw_response.create(**CHAT)
    return raw.parse().choices[0].message.content


def _chat_raw_stream(client: Any) -> Any:
    raw = client.chat.completions.with_raw_response.create(**CHAT, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in raw.parse())


def _chat_streamed_response(client: Any) -> Any:
    with client.chat.completions.with_streaming_response.create(**CHAT) as response:
        return response.parse().choices[0].message.content


def _chat_streamed_lines(client: Any) -> Any:
    with client.chat.completions.with_streaming_response.create(**CHAT, stream=True) as response:
        return "Soon." if [line for line in response.iter_lines() if "Soon" in line] else ""


def _chat_options(client: Any) -> Any:
    return _chat(client.with_options(timeout=60).copy())


def _response(client: Any) -> Any:
    return client.responses.create(**RESPONSE).output_text


def _response_stream(client: Any) -> Any:
    events = client.responses.create(**RESPONSE, stream=True)
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def _response_helper(client: Any) -> Any:
    with client.responses.stream(**RESPONSE) as stream:
        for _ in stream:
            pass
        return stream.get_final_response().output_text


def _embeddings(client: Any) -> Any:
    found = client.embeddings.create(model="asked", input=["Soon", "."], encoding_format="float")
    return "Soon." if len(found.data) == 2 else ""


def _posted(client: Any) -> Any:
    return client.post("/chat/completions", body=CHAT, cast_to=dict[str, Any])["choices"][0]["message"]["content"]


def _message(client: Any) -> Any:
    return client.messages.create(**MESSAGE).content[0].text


def _message_stream(client: Any) -> Any:
    events = client.messages.create(**MESSAGE, stream=True)
    return "".join(event.delta.text for event in events if event.type == "content_block_delta")


def _message_helper(client: Any) -> Any:
    with client.messages.stream(**MESSAGE) as stream:
        return "".join(stream.text_stream)


def _message_final(client: Any) -> Any:
    with client.messages.stream(**MESSAGE) as stream:
        return stream.get_final_message().content[0].text


def _message_raw(client: Any) -> Any:
    return client.messages.with_raw_response.create(**MESSAGE).parse().content[0].text


def _message_raw_stream(client: Any) -> Any:
    raw = client.messages.with_raw_response.create(**MESSAGE, stream=True)
    return "".join(event.delta.text for event in raw.parse() if event.type == "content_block_delta")


def _message_streamed_response(client: Any) -> Any:
    with client.messages.with_streaming_response.create(**MESSAGE) as response:
        return response.parse().content[0].text


def _message_beta(client: Any) -> Any:
    return client.beta.messages.create(**MESSAGE).content[0].text


WAYS: Final[dict[str, tuple[str, Way]]] = {
    "chat": ("openai", _chat),
    "chat with tools": ("openai", _chat_tools),
    "chat as a stream": ("openai", _chat_stream),
    "chat by the stream helper": ("openai", _chat_helper),
    "chat, raw": ("openai", _chat_raw),
    "chat, raw stream": ("openai", _chat_raw_stream),
    "chat, streamed response": ("openai", _chat_streamed_response),
    "chat, streamed lines": ("openai", _chat_streamed_lines),
    "chat with options": ("openai", _chat_options),
    "response": ("openai", _response),
    "response as a stream": ("openai", _response_stream),
    "response by the stream helper": ("openai", _response_helper),
    "embeddings": ("openai", _embeddings),
    "posted": ("openai", _posted),
    "message": ("anthropic", _message),
    "message as a stream": ("anthropic", _message_stream),
    "message by the stream helper": ("anthropic", _message_helper),
    "message, final of the helper": ("anthropic", _message_final),
    "message, raw": ("anthropic", _message_raw),
    "message, raw stream": ("anthropic", _message_raw_stream),
    "message, streamed response": ("anthropic", _message_streamed_response),
    "message of the beta": ("anthropic", _message_beta),
}
"""Each way with its SDK. All of them return ``Soon.``."""


async def _achat(client: Any) -> Any:
    return (await client.chat.completions.create(**CHAT)).choices[0].message.content


async def _achat_stream(client: Any) -> Any:
    chunks = await client.chat.completions.create(**CHAT, stream=True)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])


async def _achat_helper(client: Any) -> Any:
    async with client.chat.completions.stream(**CHAT) as stream:
        async for _ in stream:
            pass
        return (await stream.get_final_completion()).choices[0].message.content


async def _awaited(value: Any) -> Any:
    return await value if hasattr(value, "__await__") else value


async def _achat_raw(client: Any) -> Any:
    raw = await client.chat.completions.with_raw_response.create(**CHAT)
    return (await _awaited(raw.parse())).choices[0].message.content


async def _achat_raw_stream(client: Any) -> Any:
    raw = await client.chat.completions.with_raw_response.create(**CHAT, stream=True)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in await _awaited(raw.parse())])


async def _achat_streamed_response(client: Any) -> Any:
    async with client.chat.completions.with_streaming_response.create(**CHAT) as response:
        return (await response.parse()).choices[0].message.content


async def _achat_streamed_lines(client: Any) -> Any:
    async with client.chat.completions.with_streaming_response.create(**CHAT, stream=True) as response:
        return "Soon." if [line async for line in response.iter_lines() if "Soon" in line] else ""


async def _aresponse(client: Any) -> Any:
    return (await client.responses.create(**RESPONSE)).output_text


async def _aresponse_helper(client: Any) -> Any:
    async with client.responses.stream(**RESPONSE) as stream:
        async for _ in stream:
            pass
        return (await stream.get_final_response()).output_text


async def _aembeddings(client: Any) -> Any:
    found = await client.embeddings.create(model="asked", input="Soon.", encoding_format="float")
    return "Soon." if len(found.data) == 1 else ""


async def _amessage(client: Any) -> Any:
    return (await client.messages.create(**MESSAGE)).content[0].text


async def _amessage_stream(client: Any) -> Any:
    events = await client.messages.create(**MESSAGE, stream=True)
    return "".join([event.delta.text async for event in events if event.type == "content_block_delta"])


async def _amessage_helper(client: Any) -> Any:
    async with client.messages.stream(**MESSAGE) as stream:
        return "".join([text async for text in stream.text_stream])


async def _amessage_raw(client: Any) -> Any:
    raw = await client.messages.with_raw_response.create(**MESSAGE)
    return (await _awaited(raw.parse())).content[0].text


ASYNC_WAYS: Final[dict[str, tuple[str, AsyncWay]]] = {
    "chat": ("openai", _achat),
    "chat as a stream": ("openai", _achat_stream),
    "chat by the stream helper": ("openai", _achat_helper),
    "chat, raw": ("openai", _achat_raw),
    "chat, raw stream": ("openai", _achat_raw_stream),
    "chat, streamed response": ("openai", _achat_streamed_response),
    "chat, streamed lines": ("openai", _achat_streamed_lines),
    "response": ("openai", _aresponse),
    "response by the stream helper": ("openai", _aresponse_helper),
    "embeddings": ("openai", _aembeddings),
    "message": ("anthropic", _amessage),
    "message as a stream": ("anthropic", _amessage_stream),
    "message by the stream helper": ("anthropic", _amessage_helper),
    "message, raw": ("anthropic", _amessage_raw),
}
