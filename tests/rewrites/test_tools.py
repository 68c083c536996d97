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
    if "all_except" in section:  # a type and a label have to match, too
        section = {"all_except": [*section["all_except"], "bash", "mcp", "s"]}
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
    assert rewritten(content, remove_tools={"all_except": ["*"]}) is content


@pytest.mark.parametrize("listed", [lambda names: names, lambda names: {"tool_names": names, "read_only": True}])
def test_a_server_keeps_the_tools_that_it_lists(listed: Any) -> None:
    server = {"type": "mcp", "server_label": "crm", "server_url": "https://example.org"}
    content = asking({**server, "allowed_tools": listed(["delete_contact", "find_contact"])})
    left = ({**server, "allowed_tools": listed(["find_contact"])},)
    assert rewritten(content, remove_tools={"names": ["delete_*"]}).tools == left
    assert rewritten(content, remove_tools={"all_except": ["mcp", "crm", "find_*"]}).tools == left
    assert rewritten(content, remove_tools={"names": ["*_contact"]}).tools is None
    assert rewritten(content, remove_tools={"names": ["other"]}) is content


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "function", "name": "read_x", "function": {"name": "shell"}},
        {"type": "function", "name": "shell", "function": {"name": "read_x"}},
        {"toolSpec": {"name": "read_x"}, "systemTool": {"name": "shell"}},
        {"type": "code_interpreter", "name": "read_x"},
        {"name": "read_x", "googleSearch": {}},
        {"name": "read_x", "newShape": {"name": "shell"}},
        {"type": "function", "name": "read_x", "code_execution": {}},
        {"type": "function", "function": {"name": "read_x"}, "server_label": "s"},
        {"type": "mcp", "server_label": "read_x", "server_url": "https://example.org", "allowed_tools": ["shell"]},
        {"type": "mcp", "server_label": "read_x", "server_url": "https://example.org", "allowed_tools": ["read_y"]},
        {"type": "mcp", "server_label": "read_x", "server_url": "https://example.org"},
        {"type": "mcp_toolset", "mcp_server_name": "read_x"},
        {"type": "namespace", "name": "read_x", "tools": [chat_tool("shell")]},
        {"type": "code_interpreter", "name": "read_x", "tools": [chat_tool("read_y")]},
        {"name": "shell", "functionDeclarations": [{"name": "read_y"}]},
    ],
)
def test_every_name_of_a_tool_has_to_be_allowed(tool: dict[str, Any]) -> None:
    content = asking(chat_tool("read_file"), tool)
    assert tool_names(rewritten(content, remove_tools={"all_except": ["read_*"]}).tools) == ["read_file"]


def test_all_lists_of_a_tool_are_examined() -> None:
    both = {
        "name": "read_docs",
        "functionDeclarations": [{"name": "shell"}, {"name": "read_x"}],
        "tools": [{"name": "shell"}],
    }
    left = ({"name": "read_docs", "functionDeclarations": [{"name": "read_x"}], "tools": []},)
    assert rewritten(asking(both), remove_tools={"all_except": ["read_*"]}).tools == left
    assert rewritten(asking(both), remove_tools={"names": ["shell"]}).tools == left


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "function", "name": "read_x", "function": "shell"},
        {"type": "function", "name": "read_x", "function": {"name": 3}},
        {"name": "read_x", "functionDeclarations": {"name": "shell"}},
        {"type": ["mcp"], "name": "read_x"},
    ],
)
def test_a_name_beside_one_that_cannot_be_read_is_not_enough(tool: dict[str, Any]) -> None:
    for section in ({"all_except": ["read_*"]}, {"names": ["shell"]}):
        with pytest.raises(RewriteError, match=r"the name of `tools\[0\]` cannot be read"):
            rewritten(asking(tool), remove_tools=section)


@pytest.mark.parametrize(
    ("name", "tool"),
    [
        ("googleSearch", {"google_search": {}}),
        ("google_search", {"googleSearchRetrieval": {}}),
        ("google_search", {"name": "f", "googleSearch": {}}),
        ("web_search", {"type": "web_search_preview"}),
        ("web_search_preview", {"type": "web_search_20250305", "name": "other"}),
        ("computer", {"type": "computer_use_preview"}),
        ("shell", {"type": "local_shell"}),
        ("code_interpreter", {"codeExecution": {}}),
    ],
)
def test_the_types_of_a_built_in_tool_are_one_tool(name: str, tool: dict[str, Any]) -> None:
    assert rewritten(asking(tool), remove_tools={"names": [name]}).tools is None


def test_a_type_is_allowed_in_each_spelling_but_alone() -> None:
    found = asking({"google_search": {}}, {"type": "web_search_preview"}, {"type": "web_search_20250305"})
    left = rewritten(found, remove_tools={"all_except": ["googleSearch", "web_search"]}).tools
    assert left == ({"google_search": {}}, {"type": "web_search_20250305"})


def test_a_function_is_not_what_its_name_is_to_a_provider() -> None:
    content = asking(chat_tool("web_search_preview"), chat_tool("shell"))
    assert rewritten(content, remove_tools={"names": ["web_search", "local_shell"]}) is content


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
        ({"tool": {"name": "gone"}}, None),
        ({"tool": {"name": "left"}}, {"tool": {"name": "left"}}),
        ({"any": {}}, {"any": {}}),
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


@pytest.mark.parametrize("name", ["toolChoice", "tool-choice", "functionCall"])
def test_a_choice_is_known_in_any_spelling(name: str) -> None:
    content = asking(chat_tool("left"), chat_tool("gone"), **{name: {"tool": {"name": "gone"}}, "temperature": 1})
    assert rewritten(content, remove_tools={"names": ["gone"]}).params == {"temperature": 1}


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


@pytest.mark.parametrize("tools", [None, ()])
def test_without_tools_there_is_no_choice(tools: Any) -> None:
    content = Content("Hello.", None, {"tool_choice": "required", "parallelToolCalls": True}, None, tools)
    for section in ({"names": ["*"]}, {"names": ["a"]}, {"all_except": ["a"]}):
        assert rewritten(content, remove_tools=section).params == {}
    assert [item.target for item in changes(content, remove_tools={"names": ["*"]})] == [
        "params.tool_choice",
        "params.parallelToolCalls",
    ]


def test_a_request_without_tools_stays_as_it_is() -> None:
    content = Content("Hello.", None, {"temperature": 1})
    assert rewritten(content, remove_tools={"names": ["*"]}) is content
