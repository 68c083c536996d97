"""One text in every place that a message of any provider has for it."""

from __future__ import annotations

import base64
import json
from typing import Any

__all__ = ["PDF", "PNG", "holding"]

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4).decode()
PDF = base64.b64encode(b"%PDF-1.7\n" + b"/Type /Page\n" * 3 + bytes(range(256)) * 4).decode()


def holding(text: str) -> dict[str, Any]:
    """Return messages by the name of their shape; each holds the text once."""
    arguments = json.dumps({"a": {"b": [text]}})
    encoded = base64.b64encode(text.encode()).decode()
    parts = {
        "text": {"type": "text", "text": text},
        "text with citations": {
            "type": "text",
            "text": "x",
            "citations": [{"type": "char_location", "cited_text": text}],
        },
        "input_text": {"type": "input_text", "text": text},
        "output_text": {"type": "output_text", "text": "x", "annotations": [{"type": "url_citation", "title": text}]},
        "refusal": {"type": "refusal", "refusal": text},
        "tool_use": {"type": "tool_use", "id": "t", "name": "f", "input": {"deep": [{"er": text}]}},
        "server_tool_use": {"type": "server_tool_use", "id": "t", "name": "web_search", "input": {"query": text}},
        "mcp_tool_use": {"type": "mcp_tool_use", "id": "t", "name": "f", "server_name": "s", "input": {"q": text}},
        "tool_result": {"type": "tool_result", "tool_use_id": "t", "content": text},
        "tool_result of blocks": {
            "type": "tool_result",
            "tool_use_id": "t",
            "content": [{"type": "text", "text": text}],
        },
        "web_search_tool_result": {
            "type": "web_search_tool_result",
            "tool_use_id": "t",
            "content": [{"type": "web_search_result", "url": "https://a", "title": text, "encrypted_content": "e"}],
        },
        "code_execution_tool_result": {
            "type": "code_execution_tool_result",
            "tool_use_id": "t",
            "content": {"type": "code_execution_result", "stdout": text, "stderr": "", "return_code": 0},
        },
        "document": {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}},
        "document of blocks": {
            "type": "document",
            "source": {"type": "content", "content": [{"type": "text", "text": text}]},
        },
        "document's title": {"type": "document", "title": text, "source": {"type": "base64", "data": PDF}},
        "document's context": {
            "type": "document",
            "context": text,
            "source": {"type": "url", "url": "https://a/b.pdf"},
        },
        "search_result": {
            "type": "search_result",
            "source": "a",
            "title": "b",
            "content": [{"type": "text", "text": text}],
        },
        "search_result's source": {
            "type": "search_result",
            "source": f"https://a/?q={text}",
            "title": "b",
            "content": [],
        },
        "image's address": {"type": "image_url", "image_url": {"url": f"https://a/?who={text}"}},
        "image's address as a text": {"type": "input_image", "image_url": f"https://a/?who={text}", "detail": "low"},
        "image beside a text": {
            "type": "image_url",
            "image_url": {"url": f"data:image/png;base64,{PNG}"},
            "text": text,
        },
        "image that is none": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": text}},
        "file's name": {"type": "file", "file": {"filename": text, "file_data": f"data:application/pdf;base64,{PDF}"}},
        "file's address": {"type": "input_file", "file_url": f"https://a/{text}"},
        "file of text": {"type": "input_file", "filename": "a.txt", "file_data": f"data:text/plain;base64,{encoded}"},
        "audio beside a text": {
            "type": "input_audio",
            "input_audio": {"data": PNG, "format": "wav"},
            "transcript": text,
        },
        "Gemini text": {"text": text},
        "Gemini functionCall": {"functionCall": {"name": "f", "args": {"a": [text]}}},
        "Gemini functionResponse": {"functionResponse": {"name": "f", "response": {"result": {"x": text}}}},
        "Gemini function_call": {"function_call": {"name": "f", "args": {"a": text}}},
        "Gemini executableCode": {"executableCode": {"language": "PYTHON", "code": text}},
        "Gemini codeExecutionResult": {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": text}},
        "Gemini inlineData": {"inlineData": {"mimeType": "image/png", "data": PNG, "displayName": text}},
        "Gemini inlineData of text": {"inlineData": {"mimeType": "text/plain", "data": encoded}},
        "Gemini fileData": {"fileData": {"mimeType": "video/mp4", "fileUri": f"gs://bucket/{text}"}},
        "Gemini signed": {"thoughtSignature": PNG, "text": text},
        "Bedrock toolUse": {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": text}}},
        "Bedrock toolResult": {"toolResult": {"toolUseId": "t", "content": [{"json": {"a": text}}, {"text": "x"}]}},
        "Bedrock document": {"document": {"format": "txt", "name": "n", "source": {"bytes": text.encode()}}},
        "Bedrock document of text": {"document": {"format": "txt", "name": "n", "source": {"text": text}}},
        "Bedrock document's name": {"document": {"format": "pdf", "name": text, "source": {"bytes": b"%PDF\xff"}}},
        "Bedrock guardContent": {"guardContent": {"text": {"text": text, "qualifiers": ["query"]}}},
        "Bedrock citations": {"citationsContent": {"content": [{"text": text}], "citations": []}},
        "Mistral reference": {"type": "document_url", "document_url": "https://a", "document_name": text},
        "Mistral thinking": {"type": "thinking", "thinking": [{"type": "text", "text": text}]},
        "Cohere document": {"type": "document", "document": {"id": "1", "data": {"title": "x", "snippet": text}}},
        "Cohere document of text": {"type": "document", "document": {"data": text}},
        "unknown part": {"type": "hologram", "payload": {"deep": [[{"er": text}]]}},
        "unknown key of a known part": {"type": "text", "text": "x", "extra": {"y": [text]}},
        "key of an object": {"type": "tool_use", "id": "t", "name": "f", "input": {text: 1}},
        "bare text": text,
    }
    items = {
        "content": {"role": "user", "content": text},
        "content of one part": {"role": "user", "content": {"type": "text", "text": text}},
        "name": {"role": "user", "name": text, "content": "x"},
        "reasoning_content": {"role": "assistant", "content": "x", "reasoning_content": text},
        "reasoning_details": {"role": "assistant", "reasoning_details": [{"type": "reasoning.text", "text": text}]},
        "tool_calls": {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}],
        },
        "custom tool call": {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": text}}],
        },
        "tool_calls of Ollama": {
            "role": "assistant",
            "tool_calls": [{"function": {"name": "f", "arguments": {"a": text}}}],
        },
        "legacy function_call": {"role": "assistant", "function_call": {"name": "f", "arguments": arguments}},
        "tool result": {"role": "tool", "tool_call_id": "c", "content": text},
        "audio's transcript": {"role": "assistant", "audio": {"id": "a", "data": PNG, "transcript": text}},
        "thinking of Ollama": {"role": "assistant", "content": "x", "thinking": text},
        "images of Ollama": {"role": "user", "content": text, "images": [PNG]},
        "Cohere tool_plan": {"role": "assistant", "tool_plan": text},
        "Cohere v1": {"role": "USER", "message": text},
        "Cohere v1 tool results": {"role": "TOOL", "tool_results": [{"call": {"name": "f"}, "outputs": [{"a": text}]}]},
        "item message": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]},
        "item function_call": {"type": "function_call", "call_id": "c", "name": "f", "arguments": arguments},
        "item function_call_output": {"type": "function_call_output", "call_id": "c", "output": text},
        "item function_call_output of parts": {
            "type": "function_call_output",
            "call_id": "c",
            "output": [{"type": "input_text", "text": text}],
        },
        "item reasoning": {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": text}]},
        "item reasoning's content": {
            "type": "reasoning",
            "id": "r",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": text}],
        },
        "item custom_tool_call": {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": text},
        "item custom_tool_call_output": {"type": "custom_tool_call_output", "call_id": "c", "output": text},
        "item web_search_call": {"type": "web_search_call", "id": "w", "action": {"type": "search", "query": text}},
        "item file_search_call": {"type": "file_search_call", "id": "f", "queries": [text], "results": None},
        "item file_search_call's results": {
            "type": "file_search_call",
            "queries": ["x"],
            "results": [{"text": text, "filename": "a"}],
        },
        "item mcp_call": {
            "type": "mcp_call",
            "id": "m",
            "server_label": "s",
            "name": "f",
            "arguments": arguments,
            "output": "x",
        },
        "item mcp_call's output": {
            "type": "mcp_call",
            "id": "m",
            "server_label": "s",
            "name": "f",
            "arguments": "{}",
            "output": text,
        },
        "item mcp_list_tools": {
            "type": "mcp_list_tools",
            "server_label": "s",
            "tools": [{"name": "f", "description": text}],
        },
        "item mcp_approval_response": {
            "type": "mcp_approval_response",
            "approval_request_id": "a",
            "approve": False,
            "reason": text,
        },
        "item computer_call": {"type": "computer_call", "call_id": "c", "action": {"type": "type", "text": text}},
        "item computer_call_output": {
            "type": "computer_call_output",
            "call_id": "c",
            "output": {"type": "computer_screenshot", "image_url": f"https://a/?x={text}"},
        },
        "item code_interpreter_call": {"type": "code_interpreter_call", "id": "c", "code": text, "outputs": []},
        "item code_interpreter_call's logs": {
            "type": "code_interpreter_call",
            "code": "x",
            "outputs": [{"type": "logs", "logs": text}],
        },
        "item local_shell_call": {
            "type": "local_shell_call",
            "call_id": "c",
            "action": {"type": "exec", "command": ["cat", text]},
        },
        "item shell_call_output": {
            "type": "shell_call_output",
            "call_id": "c",
            "output": [{"stdout": text, "stderr": ""}],
        },
        "item apply_patch_call": {
            "type": "apply_patch_call",
            "call_id": "c",
            "operation": {"type": "update_file", "diff": text},
        },
        "unknown item": {"type": "telepathy", "thought": {"x": [text]}},
        "unknown key": {"role": "user", "content": "x", "footnotes": [{"y": text}]},
        "name of an unknown key": {"role": "user", "content": "x", text: 1},
    }
    messages = {f"part {name}": {"role": "user", "content": ["x", part]} for name, part in parts.items()}
    gemini = {f"{name} in Gemini's parts": {"role": "user", "parts": [part]} for name, part in parts.items()}
    return {**items, **messages, **gemini}
