"""A provider on this machine that speaks the wire formats of OpenAI and Anthropic, and counts what it served.

What it does is said by the last text that it is sent: `fail 500`, `stall`, `cut`, `no usage`; anything else is
answered. ``python -m tests.integration.litellm.upstream PORT`` runs it; ``GET /served`` gives what it has served.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["WORDS", "main"]

WORDS: Final = ("Soon", ",", " I", " hope", ".")
_PROMPT: Final = 20
_OUTPUT: Final = 5
_CHAT: Final = {"prompt_tokens": _PROMPT, "completion_tokens": _OUTPUT, "total_tokens": _PROMPT + _OUTPUT}
_FAILURE: Final = re.compile(r"fail (\d{3})(?: on ([\w.-]+))?")
_STALL: Final = 30.0


class Upstream:
    """``served`` has an entry for each request: path, model, parameters, and the usage that was given."""

    def __init__(self) -> None:
        self.served: list[dict[str, Any]] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._request(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split(" ", 2)
        length = re.search(r"(?i)content-length: (\d+)", head)
        body = json.loads(await reader.readexactly(int(length[1]))) if length else {}
        if method == "GET":
            _send(writer, 200, {"served": self.served})
        else:
            await self._answer(writer, path.partition("?")[0], body)
        await writer.drain()
        return not writer.is_closing()

    async def _answer(self, writer: asyncio.StreamWriter, path: str, body: dict[str, Any]) -> None:
        said = _last_text(body)
        entry = {"path": path, "model": body.get("model"), "said": said, "body": body, "status": 200}
        self.served.append(entry)
        failure = _FAILURE.search(said)
        if failure and failure[2] in (None, body.get("model")):
            entry["status"] = int(failure[1])
            error = {"message": "it fails", "type": "server_error", "code": None, "param": None}
            _send(writer, int(failure[1]), {"type": "error", "error": error})
            return
        if "stall" in said:
            await asyncio.sleep(_STALL)
        if "slow" in said:
            await asyncio.sleep(0.5)
        if wait := re.search(r"wait (\d+)", said):
            await asyncio.sleep(int(wait[1]))
        if "drop" in said:
            writer.close()
            return
        api = path.rpartition("/")[2]
        whole, events = _ANSWERS[api](body)
        if not body.get("stream"):
            if "no usage" in said:
                whole.pop("usage")
            _send(writer, 200, whole)
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        for number, event in enumerate(events):
            if "no usage" in said and event.get("usage"):
                continue
            if "cut" in said and number == 3:
                writer.transport.abort()
                return
            name = f"event: {event['type']}\n" if "type" in event else ""
            writer.write(f"{name}data: {json.dumps(event)}\n\n".encode())
            await writer.drain()
            await asyncio.sleep(0.2 if "slow" in said else 0)
        if api in ("completions",):
            writer.write(b"data: [DONE]\n\n")
        await writer.drain()
        writer.close()


def _send(writer: asyncio.StreamWriter, status: int, value: Any) -> None:
    text = json.dumps(value).encode()
    writer.write(
        f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text
    )


def _last_text(body: dict[str, Any]) -> str:
    given = body.get("messages") or body.get("input") or body.get("prompt") or ""
    last = given[-1] if isinstance(given, list) else given
    content = last.get("content", "") if isinstance(last, dict) else last
    return content if isinstance(content, str) else " ".join(str(part.get("text", "")) for part in content)


def _chat(body: dict[str, Any]) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    base = {"id": "chat-1", "created": 1, "model": body["model"]}
    is_text = "prompt" in body
    kind = "text_completion" if is_text else "chat.completion"
    said = {"text": "".join(WORDS)} if is_text else {"message": {"role": "assistant", "content": "".join(WORDS)}}
    whole = {**base, "object": kind, "choices": [{"index": 0, "finish_reason": "stop", **said}], "usage": _CHAT}

    def events() -> Iterator[dict[str, Any]]:
        part = {**base, "object": kind if is_text else f"{kind}.chunk"}
        for word in WORDS:
            delta = {"text": word} if is_text else {"delta": {"content": word}}
            yield {**part, "choices": [{"index": 0, "finish_reason": None, **delta}]}
        end = {"text": ""} if is_text else {"delta": {}}
        yield {**part, "choices": [{"index": 0, "finish_reason": "stop", **end}]}
        if (body.get("stream_options") or {}).get("include_usage"):
            yield {**part, "choices": [], "usage": _CHAT}

    return whole, events()


def _messages(body: dict[str, Any]) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    base = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "stop_sequence": None}
    usage = {"input_tokens": _PROMPT, "output_tokens": _OUTPUT}
    text = {"type": "text", "text": "".join(WORDS)}
    whole = {**base, "content": [text], "stop_reason": "end_turn", "usage": usage}

    def events() -> Iterator[dict[str, Any]]:
        start = {**base, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
        yield {"type": "message_start", "message": start}
        yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        for word in WORDS:
            yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
        yield {"type": "content_block_stop", "index": 0}
        delta = {"stop_reason": "end_turn", "stop_sequence": None}
        yield {"type": "message_delta", "delta": delta, "usage": usage}
        yield {"type": "message_stop"}

    return whole, events()


def _responses(body: dict[str, Any]) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    part = {"type": "output_text", "text": "".join(WORDS), "annotations": []}
    message = {"type": "message", "id": "item_1", "role": "assistant", "status": "completed", "content": [part]}
    usage = {
        "input_tokens": _PROMPT,
        "output_tokens": _OUTPUT,
        "total_tokens": _PROMPT + _OUTPUT,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    base = {"id": "resp_1", "object": "response", "created_at": 1, "model": body["model"]}
    base |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    whole = {**base, "status": "completed", "output": [message], "usage": usage}

    def events() -> Iterator[dict[str, Any]]:
        at = {"item_id": "item_1", "output_index": 0, "content_index": 0}
        yield {"type": "response.created", "response": {**base, "status": "in_progress", "output": []}}
        yield {"type": "response.output_item.added", "output_index": 0, "item": {**message, "content": []}}
        yield {"type": "response.content_part.added", **at, "part": {**part, "text": ""}}
        for word in WORDS:
            yield {"type": "response.output_text.delta", **at, "delta": word}
        yield {"type": "response.output_text.done", **at, "text": part["text"]}
        yield {"type": "response.content_part.done", **at, "part": part}
        yield {"type": "response.output_item.done", "output_index": 0, "item": message}
        yield {"type": "response.completed", "response": whole}

    return whole, events()


def _embeddings(body: dict[str, Any]) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    data = [{"object": "embedding", "index": at, "embedding": [0.5, 0.25]} for at, _ in enumerate(texts)]
    usage = {"prompt_tokens": _PROMPT, "total_tokens": _PROMPT}
    return {"object": "list", "model": body["model"], "data": data, "usage": usage}, iter(())


_ANSWERS: Final = {
    "completions": _chat,
    "messages": _messages,
    "responses": _responses,
    "embeddings": _embeddings,
}


async def main(port: int) -> None:
    server = await asyncio.start_server(Upstream().handle, "127.0.0.1", port, limit=2**24)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
