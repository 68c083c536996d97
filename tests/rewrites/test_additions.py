"""Text before and after, system text and templates."""

from __future__ import annotations

from typing import Any

import pytest

from costlens_policy.rewrites import Content, RewriteError
from tests.rewrites.making import IMAGE, assistant, changes, chat, prompt, rewritten, step, system, text, user

PREFIX = {"prefix": {"text": "Be brief. "}}
SUFFIX = {"suffix": {"text": " Thanks."}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "5"}


def test_prefix_of_a_prompt() -> None:
    content = rewritten(prompt("Why?", temperature=1), **PREFIX)
    assert content == Content("Be brief. Why?", None, {"temperature": 1})
    (change,) = changes(prompt("Why?"), **PREFIX)
    assert (change.operation, change.target, change.detail) == ("prefix", "prompt", "10 characters added before it")


def test_suffix_of_a_prompt() -> None:
    assert rewritten(prompt("Why?"), **SUFFIX).prompt == "Why? Thanks."


def test_the_last_user_message_has_them() -> None:
    content = chat(user("One"), assistant("1"), user("Two"), assistant("2"))
    assert rewritten(content, **PREFIX).messages == (user("One"), assistant("1"), user("Be brief. Two"), assistant("2"))
    assert rewritten(content, **SUFFIX).messages == (user("One"), assistant("1"), user("Two Thanks."), assistant("2"))
    assert [change.target for change in changes(content, **PREFIX)] == ["messages[2]"]


def test_the_first_and_the_last_text_part_have_them() -> None:
    content = chat(user([IMAGE, text("a"), text("b"), IMAGE]))
    assert rewritten(content, **PREFIX).messages == (user([IMAGE, text("Be brief. a"), text("b"), IMAGE]),)
    assert rewritten(content, **SUFFIX).messages == (user([IMAGE, text("a"), text("b Thanks."), IMAGE]),)


def test_a_message_without_text_gets_a_part() -> None:
    assert rewritten(chat(user([IMAGE])), **PREFIX).messages == (user([text("Be brief. "), IMAGE]),)
    assert rewritten(chat(user([IMAGE])), **SUFFIX).messages == (user([IMAGE, text(" Thanks.")]),)


def test_results_of_tools_are_not_a_turn_of_the_user_and_stay_first() -> None:
    content = chat(user("One"), assistant([{"type": "tool_use", "id": "t1"}]), user([RESULT]))
    assert (rewritten(content, **PREFIX).messages or ())[0] == user("Be brief. One")
    mixed = chat(user([RESULT, IMAGE]))
    assert rewritten(mixed, **PREFIX).messages == (user([RESULT, text("Be brief. "), IMAGE]),)


@pytest.mark.parametrize("operation", [PREFIX, SUFFIX, {"template": {"text": "{{ prompt }}!"}}])
@pytest.mark.parametrize("content", [chat(), chat(assistant("1")), chat({}, 5, None), Content(None, None, {})])
def test_without_a_user_nothing_happens(operation: dict[str, object], content: Content) -> None:
    assert step(**operation).apply(content, ()) == (content, ())


def test_system_text_of_a_prompt_goes_beside_it() -> None:
    content = rewritten(prompt("Why?"), system={"text": "Be brief."})
    assert (content.system, content.prompt) == ("Be brief.", "Why?")
    assert rewritten(content, system={"text": "Be kind."}).system == "Be brief.\n\nBe kind."
    assert rewritten(content, system={"text": "Be kind.", "place": "before"}).system == "Be kind.\n\nBe brief."
    assert rewritten(content, system={"text": "Be kind.", "place": "replace"}).system == "Be kind."


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("after", [system("a"), {"role": "developer", "content": "b\n\nX"}, user("u"), system("late")]),
        ("before", [system("X\n\na"), {"role": "developer", "content": "b"}, user("u"), system("late")]),
        ("replace", [system("X"), user("u"), system("late")]),
    ],
)
def test_leading_system_messages(place: str, expected: list[object]) -> None:
    content = chat(system("a"), {"role": "developer", "content": "b"}, user("u"), system("late"))
    assert list(rewritten(content, system={"text": "X", "place": place}).messages or ()) == expected


@pytest.mark.parametrize(
    ("present", "place", "expected"),
    [
        ("a", "after", "a\n\nX"),
        ("a", "before", "X\n\na"),
        ("a", "replace", "X"),
        ("", "after", "X"),
        ([text("a")], "after", [text("a"), text("X")]),
        ([text("a")], "before", [text("X"), text("a")]),
        ([text("a")], "replace", "X"),
    ],
)
def test_system_text_of_anthropic(present: object, place: str, expected: object) -> None:
    content = rewritten(chat(user("u"), system=present), system={"text": "X", "place": place})
    assert content.params["system"] == expected
    assert content.messages == (user("u"),)


def test_a_first_system_text_goes_where_the_shape_wants_it() -> None:
    assert rewritten(chat(user("u")), system={"text": "X"}).messages == (system("X"), user("u"))
    picture = user([{"type": "image", "source": {"type": "url", "url": "https://x"}}])
    content = rewritten(chat(picture), system={"text": "X"})
    assert (content.messages, content.params) == ((picture,), {"system": "X"})


def test_both_places_at_once() -> None:
    content = chat(system("m"), user("u"), system="p")
    assert rewritten(content, system={"text": "X", "place": "before"}).params["system"] == "X\n\np"
    assert (rewritten(content, system={"text": "X", "place": "after"}).messages or ())[0] == system("m\n\nX")
    replaced = rewritten(content, system={"text": "X", "place": "replace"})
    assert (replaced.params["system"], replaced.messages) == ("X", (user("u"),))


def test_system_text_of_an_unknown_shape_is_an_error() -> None:
    with pytest.raises(RewriteError, match=r"`params\.system` must be a string or a list of parts"):
        rewritten(chat(user("u"), system={"x": 1}), system={"text": "X"})


def test_template() -> None:
    content = rewritten(prompt("long {{ text }}"), template={"text": "Sum up:\n{{prompt}}\n({{ prompt }})"})
    assert content.prompt == "Sum up:\nlong {{ text }}\n(long {{ text }})"


def test_values_of_a_template_read_the_activation_and_are_not_expanded_again() -> None:
    template = step(
        {"team": lambda request, now: request["team"], "unused": lambda request, now: 1 / 0},
        template={"text": "{{ team }}: {{ prompt }}", "values": {"team": "request.team", "unused": "''"}},
    )
    content, made = template.apply(prompt("{{ team }}"), ({"team": "{{ prompt }}"}, None))
    assert content.prompt == "{{ prompt }}: {{ team }}"
    assert [change.target for change in made] == ["prompt"]


def test_a_value_that_is_no_text_is_an_error() -> None:
    template = step({"n": lambda: 1}, template={"text": "{{ n }}", "values": {"n": "1"}})
    with pytest.raises(RewriteError, match="the template value `n` must be a string") as caught:
        template.apply(prompt("x"), ())
    assert caught.value.code == "CL953"


def test_template_of_a_message_replaces_its_texts_and_keeps_the_rest() -> None:
    content = chat(user("first"), user([IMAGE, text("a"), text("b")]))
    messages = rewritten(content, template={"text": "<{{ prompt }}>"}).messages
    assert messages == (user("first"), user([IMAGE, text("<a\nb>")]))
    assert rewritten(chat(user([IMAGE])), template={"text": "<{{ prompt }}>"}).messages == (user([IMAGE, text("<>")]),)


def test_an_unknown_placeholder_does_not_compile() -> None:
    with pytest.raises(ValueError, match="unknown placeholder `promt`"):
        step(template={"text": "{{ promt }}"})


@pytest.mark.parametrize(
    ("message", "key"),
    [
        ({"role": "user", "parts": [{"text": "hi"}]}, "parts"),
        ({"role": "user", "content": [{"text": "hi"}]}, "content"),
        ({"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}, "parts"),
    ],
)
def test_messages_of_gemini_and_bedrock(message: dict[str, Any], key: str) -> None:
    said = "hi" if "text" in message[key][0] else ""
    for operation, expected in (
        ({"prefix": {"text": "A "}}, f"A {said}"),
        ({"suffix": {"text": " Z"}}, f"{said} Z"),
        ({"template": {"text": "<{{ prompt }}>"}}, f"<{said}>"),
    ):
        (changed,) = rewritten(chat(message), **operation).messages or ()
        assert {"text": expected} in changed[key]
        assert changed.keys() == message.keys()
