"""Tools removed in the shapes of all providers, and what made the model call them."""

from __future__ import annotations

from typing import Any

import pytest

from costlens_policy.rewrites import Content, RewriteError
from costlens_policy.rewrites.tools import tool_names
from tests.rewrites.making import changes, rewritten


def asking(*tools: Any, **params: Any) -> Content:
    return Content("Hello.", None, params, None, tools)


def chat_tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {}}}


def chosen(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


SHAPES: dict[str, Any] = {
    "OpenAI's chat": chat_tool,
    "OpenAI's chat, custom": lambda name: {"type": "custom", "custom": {"name": name}},
    "OpenAI's responses": lambda name: {"type": "function", "name": name, "parameters": {}},
    "OpenAI's responses, custom": lambda name: {"type": "custom", "name": name},
    "Anthropic": lambda name: {"name": name, "input_schema": {"type": "object"}},
    "Anthropic, with its type": lambda name: {"type": "custom", "name": name, "input_schema": {"type": "object"}},
    "Anthropic's own": lambda name: {"type": "bash_20250124", "name": name},
    "Bedrock": lambda name: {"toolSpec": {"name": name, "inputSchema": {"json": {}}}},
    "Bedrock's own": lambda name: {"systemTool": {"name": name}},
    "Gemini": lambda name: {"functionDeclarations": [{"name": name, "parameters": {}}]},
    "Gemini's SDK": lambda name: {"function_declarations": [{"name": name}]},
    "Cohere": lambda name: {"name": name, "parameter_definitions": {}},
    "a bare function": lambda name: {"name": name, "parameters": {}},
    "a namespace": lambda name: {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": name}]},
    "a server with a list": lambda name: {"type": "mcp", "server_label": "s", "allowed_tools": [name]},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("section", "left"),
    [
        ({"names": ["delete_file"]}, ["read_file", "list"]),
        ({"names": ["*_file", "other"]}, ["list"]),
        ({"names": ["d*e"]}, ["read_file", "list"]),
        ({"names": ["*"]}, []),
        ({"all_except": ["read_*"]}, ["read_file"]),
        ({"all_except": ["nothing"]}, []),
        ({"names": ["Delete_file", "delete", "file", "*delete_file_*"]}, ["delete_file", "read_file", "list"]),
    ],
)
def test_tools_by_name(shape: str, section: dict[str, Any], left: list[str]) -> None:
    tools = [SHAPES[shape](name) for name in ("delete_file", "read_file", "list")]
    after = rewritten(asking(*tools), remove_tools=section)
    assert tool_names(after.tools) == left
    assert after.tools is None or all(tool in tools for tool in after.tools)


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        ({"type": "web_search"}, "web_search"),
        ({"type": "web_search_preview_2025_03_11"}, "web_search_preview_2025_03_11"),
        ({"type": "code_interpreter", "container": {"type": "auto"}}, "code_interpreter"),
        ({"googleSearch": {}}, "googleSearch"),
        ({"url_context": {}}, "url_context"),
        ({"type": "web_search_20250305", "name": "web_search", "max_uses": 2}, "web_search"),
    ],
)
def test_what_providers_run_themselves(tool: dict[str, Any], name: str) -> None:
    content = asking(tool, chat_tool("f"))
    assert tool_names(rewritten(content, remove_tools={"names": [name]}).tools) == ["f"]
    assert rewritten(content, remove_tools={"names": ["other"]}) is content
    assert tool_names(rewritten(content, remove_tools={"all_except": [name]}).tools) == [name]


def test_several_tools_in_one_object() -> None:
    content = asking({"function_declarations": [{"name": "a"}, {"name": "b"}], "google_search": {}})
    assert rewritten(content, remove_tools={"names": ["a"]}).tools == (
        {"function_declarations": [{"name": "b"}], "google_search": {}},
    )
    assert rewritten(content, remove_tools={"names": ["google_search", "b"]}).tools == (
        {"function_declarations": [{"name": "a"}]},
    )
    assert rewritten(content, remove_tools={"all_except": ["google_search"]}).tools == ({"google_search": {}},)


def test_a_mark_is_not_a_tool() -> None:
    content = asking({"toolSpec": {"name": "a"}}, {"toolSpec": {"name": "b"}}, {"cachePoint": {"type": "default"}})
    assert rewritten(content, remove_tools={"names": ["a"]}).tools == (content.tools or ())[1:]
    assert rewritten(content, remove_tools={"all_except": ["c"]}).tools is None
    assert changes(content, remove_tools={"all_except": ["b"]})[0].detail == "1 of 2 removed"


@pytest.mark.parametrize(
    "tool",
    [
        "delete_file",
        7,
        {},
        {"type": "function"},
        {"type": "function", "function": {"parameters": {}}},
        {"type": "function", "function": {"name": 3}},
        {"description": "no name"},
        {"newShape": {"name": "delete_file"}},
        {"google_search": {}, "newShape": {"name": "delete_file"}},
        {"type": "new_kind", "spec": {"name": "delete_file"}},
        {"type": "mcp", "server_label": "s", "server_url": "https://example.org"},
        {"type": "mcp", "server_label": "s", "allowed_tools": {"read_only": True}},
        {"type": "mcp_toolset", "mcp_server_name": "s"},
        {"type": "browser_toolset_20260101", "name": "browser"},
        {"functionDeclarations": [{"description": "no name"}]},
        {"type": "namespace", "name": "n", "tools": [{"type": "mcp", "server_label": "s"}]},
    ],
)
def test_what_may_be_a_removed_tool_is_not_passed_on(tool: Any) -> None:
    content = asking(chat_tool("f"), tool)
    with pytest.raises(RewriteError, match=r"`tools\[1\]") as caught:
        rewritten(content, remove_tools={"names": ["delete_*"]})
    assert caught.value.code == "CL952"
    assert rewritten(content, remove_tools={"names": ["*"]}).tools is None


def test_a_server_goes_as_a_whole() -> None:
    server = {"type": "mcp", "server_label": "crm", "server_url": "https://example.org"}
    content = asking(chat_tool("f"), server)
    assert tool_names(rewritten(content, remove_tools={"names": ["crm", "delete_*"]}).tools) == ["f"]
    assert tool_names(rewritten(content, remove_tools={"all_except": ["f"]}).tools) == ["f"]
    assert rewritten(content, remove_tools={"all_except": ["f", "crm"]}) is content
    listed = {**server, "allowed_tools": ["delete_contact", "find_contact"]}
    assert rewritten(asking(listed), remove_tools={"names": ["delete_*"]}).tools == (
        {**server, "allowed_tools": ["find_contact"]},
    )


def test_tools_that_a_conversation_declares_are_refused() -> None:
    content = Content(None, ({"type": "additional_tools", "tools": [{"type": "function", "name": "a"}]},), {})
    with pytest.raises(RewriteError, match=r"`messages\[0\]` declares tools"):
        rewritten(content, remove_tools={"names": ["a"]})


@pytest.mark.parametrize(
    ("choice", "kept"),
    [
        ("auto", "auto"),
        ("required", "required"),
        ("NONE", "NONE"),
        ("gone", None),
        (chosen("gone"), None),
        (chosen("left"), chosen("left")),
        ({"type": "function", "name": "gone"}, None),
        ({"type": "tool", "name": "gone"}, None),
        ({"type": "tool", "name": "left"}, {"type": "tool", "name": "left"}),
        ({"type": "any", "disable_parallel_tool_use": True}, {"type": "any", "disable_parallel_tool_use": True}),
        ({"type": "custom", "custom": {"name": "gone"}}, None),
        ({"type": "file_search"}, None),
        ({"type": "mcp", "server_label": "s", "name": "delete"}, None),
        ({"name": "gone"}, None),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [chosen("gone"), chosen("left")]},
            {"type": "allowed_tools", "mode": "auto", "tools": [chosen("left")]},
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [chosen("gone"), chosen("left")]}},
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [chosen("left")]}},
        ),
        ({"type": "allowed_tools", "mode": "auto", "tools": [chosen("gone")]}, None),
    ],
)
def test_a_choice_of_a_removed_tool_does_not_survive(choice: Any, kept: Any) -> None:
    tools = (chat_tool("left"), chat_tool("gone"), {"type": "file_search"}, {"type": "mcp", "server_label": "s"})
    given = asking(*tools, tool_choice=choice, parallel_tool_calls=False)
    params = rewritten(given, remove_tools={"names": ["gone", "file_search", "s"]}).params
    assert params == {"parallel_tool_calls": False} | ({} if kept is None else {"tool_choice": kept})


@pytest.mark.parametrize("choice", [7, ["gone"], {}, {"type": "tool"}, {"type": "allowed_tools", "allowed_tools": 3}])
def test_a_choice_in_an_unknown_shape_is_refused(choice: Any) -> None:
    content = asking(chat_tool("left"), chat_tool("gone"), tool_choice=choice)
    with pytest.raises(RewriteError, match="choice` names a tool in a shape that is not known"):
        rewritten(content, remove_tools={"names": ["gone"]})


def test_without_tools_nothing_is_left_of_their_parameters() -> None:
    given = asking(chat_tool("a"), tool_choice="required", parallel_tool_calls=True, temperature=1)
    after = rewritten(given, remove_tools={"names": ["a"]})
    assert (after.tools, after.params) == (None, {"temperature": 1})
    assert [(item.target, item.detail) for item in changes(given, remove_tools={"names": ["a"]})] == [
        ("tools", "1 of 1 removed"),
        ("params.tool_choice", "removed"),
        ("params.parallel_tool_calls", "removed"),
    ]


def test_a_request_without_tools_stays_as_it_is() -> None:
    content = Content("Hello.", None, {"tool_choice": "none"})
    assert rewritten(content, remove_tools={"names": ["*"]}) is content
