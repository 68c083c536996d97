# ruff: noqa: RUF001 (letters of other scripts are meant)
"""Each kind of signal on texts: what it comes to, how sure it is, and what weighed most."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.signals import Signal, text_of
from costlens_policy.signals.languages import LANGUAGES, Language
from costlens_policy.signals.likeness import Likeness, Nearest
from costlens_policy.signals.measures import Length, Share
from costlens_policy.signals.terms import Labels, Score, Term

SENTENCES = {
    "en": "Please write a short summary of this report for my manager.",
    "de": "Bitte schreibe eine kurze Zusammenfassung dieses Berichts für mich.",
    "fr": "Pouvez-vous résumer ce rapport pour mon chef, s'il vous plaît ?",
    "es": "¿Puedes resumir este informe para mi jefe?",
    "it": "Puoi riassumere questa relazione per il mio capo?",
    "pt": "Você pode resumir este relatório para o meu chefe?",
    "nl": "Kun je dit rapport samenvatten voor mijn baas?",
    "pl": "Proszę napisz krótkie podsumowanie tego raportu.",
    "ru": "Пожалуйста, напиши краткое изложение этого отчёта.",
    "uk": "Будь ласка, напиши короткий виклад цього звіту.",
    "zh": "请为我的经理写一份简短的报告摘要。",
    "ja": "この報告書の要約を書いてください。",
    "ko": "이 보고서의 요약을 작성해 주세요.",
    "ar": "من فضلك اكتب ملخصًا قصيرًا لهذا التقرير",
    "tr": "Lütfen bu raporun kısa bir özetini yaz.",
    "vi": "Hãy viết một bản tóm tắt ngắn của báo cáo này",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_languages_are_recognized_by_one_sentence(language: str) -> None:
    found = Language(LANGUAGES).prepared()(SENTENCES[language])
    assert found.value == language
    assert 0 < found.confidence <= 1
    assert Language(("hu",)).prepared()(SENTENCES[language]).value is None


def test_the_heaviest_label_wins_with_its_share_of_the_weights() -> None:
    kind = Labels({"b": (Term(("two", "three"), "", 2.0),), "a": (Term(("one",), "", 1.0), Term((), "[0-9]+", 3.0))})
    found = kind.prepared()("One, TWO and 33")
    assert (found.value, found.confidence, found.heaviest()) == ("a", 4 / 6, (("[0-9]+", 3.0), ("one", 1.0)))
    assert kind.prepared()("two 7 three").value == "b"
    assert kind.prepared()("two one 1 three").value == "a", "of equal ones the first by name"
    assert kind.prepared()("nothing").value is None


def test_a_word_counts_once_in_whatever_cases_it_is_listed() -> None:
    kind = Score((Term(("a", "A", "a"), "", 2.0),))
    assert (kind.prepared()("an A").value, kind.range) == (2.0, (0.0, 2.0))


@pytest.mark.parametrize(
    ("word", "text", "occurs"),
    [
        ("c++", "in C++, say", True),
        ("c++", "in xc++", False),
        ("stack trace", "a Stack\n\ttrace", True),
        ("stack trace", "stack traces", False),
        ("straße", "STRASSE", True),
        ("翻译", "请翻译这句话", True),
        ("it", "with", False),
        ("it's", "yes, it's", True),
    ],
)
def test_words_are_found_in_any_case_and_not_inside_of_longer_ones(word: str, text: str, occurs: bool) -> None:
    assert Score((Term((word,), "", 1.0),)).prepared()(text).value == float(occurs)


@pytest.mark.parametrize(
    ("part", "text", "share"),
    [
        ("code", "Explain:\n```\nanything\n```", 0.5),
        ("code", "x = f(y);\n\nreturn x", 0.5),
        ("code", "What is this: a question? (yes)", 0.0),
        ("code", "~~~\nanything\n~~~", 1.0),
        ("code", "import os\nfrom pathlib import Path\nimport numpy as np\nprint(1)", 1.0),
        ("code", "select name from users where age > 3\nupdate users set age = 4", 1.0),
        ("code", "Dear team;\nwe met today;\nthanks;", 0.0),
        ("code", "from my point of view\nimport duties are high", 0.0),
        ("code", "while (true) {\n  break;\n  i++;\n}", 1.0),
        ("numbers", "1 2 ab", 0.5),
        ("questions", "What is 3.14? I think so. Why?", 2 / 3),
        ("questions", "为什么？", 1.0),
        ("questions", "...", 0.0),
        ("code", "", 0.0),
    ],
)
def test_shares(part: Any, text: str, share: float) -> None:
    assert Share(part).prepared()(text).value == pytest.approx(share)


def test_likeness_is_of_words_and_their_parts() -> None:
    like = Likeness(("I want a refund",)).prepared()
    values = [like(text).value for text in ("i WANT a refund!", "refunded, please", "good morning", "")]
    assert values[0] == 1.0
    assert values[0] > values[1] > values[2]  # type: ignore[operator]  # numbers all
    assert values[3] == 0.0
    nearest = Nearest({"b": ("hello there",), "a": ("I want a refund",)}).prepared()("want a refund")
    assert (nearest.value, nearest.heaviest()[0]) == ("a", ("refund", 1.0))


MESSAGES: list[Any] = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {"url": "x"}}]},
    {"role": "assistant", "content": "two"},
    {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "rows"}]}]},
]


@pytest.mark.parametrize(
    ("reads", "text"),
    [("last_user_message", "one"), ("user_messages", "one"), ("all_messages", "be brief\none\ntwo\nrows")],
)
def test_texts_of_messages(reads: Any, text: str) -> None:
    assert text_of({"messages": MESSAGES}, reads, 100) == text
    assert text_of({"messages": [{"role": "user", "parts": [{"text": "gemini"}]}]}, reads, 3) == "gem"
    assert text_of({"messages": MESSAGES[3:]}, "last_user_message", 100) is None
    assert text_of({"prompt_tokens": 5}, reads, 100) is None
    assert text_of({"prompt": ""}, reads, 100) == ""


@pytest.mark.parametrize("system", ["be brief", [{"type": "text", "text": "be"}, {"type": "text", "text": "brief"}]])
def test_the_system_s_text_may_stand_outside_of_the_messages(system: Any) -> None:
    """As Anthropic and OpenAI's Responses take it; it is read as a message of the system would be."""
    brief = system if isinstance(system, str) else "be\nbrief"
    beside: Any = {"params": {"system": system, "top_p": 1}}
    inside = {"messages": [{"role": "system", "content": system}, *MESSAGES[1:]]}
    outside = {"messages": MESSAGES[1:], **beside}
    assert text_of(outside, "all_messages", 100) == text_of(inside, "all_messages", 100) == f"{brief}\none\ntwo\nrows"
    assert text_of({"prompt": "hi", **beside}, "all_messages", 100) == f"{brief}\nhi"
    assert text_of({"prompt": "hi", **beside}, "all_messages", 4) == f"{brief}\nhi"[:4]
    assert text_of(beside, "all_messages", 100) == brief
    for reads in ("last_user_message", "user_messages"):
        assert text_of({"prompt": "hi", **beside}, reads, 100) == "hi"
        assert text_of({"messages": [{"role": "user", "content": "a"}], **beside}, reads, 100) == "a"
        assert text_of(beside, reads, 100) is None


@pytest.mark.parametrize("reads", ["last_user_message", "user_messages", "all_messages"])
def test_of_inputs_that_nothing_was_answered_to_each_is_read(reads: Any) -> None:
    inputs = [{"role": "user", "content": text} for text in ("bomb", "hello")]
    assert text_of({"messages": inputs}, reads, 100) == text_of({"messages": ["bomb", "hello"]}, reads, 100)
    assert text_of({"messages": inputs}, reads, 100) == "bomb\nhello"
    assert text_of({"messages": inputs}, reads, 6) == "bomb\nh"
    conversation = [inputs[0], {"role": "assistant", "content": "no"}, inputs[1]]
    assert text_of({"messages": conversation}, "last_user_message", 100) == "hello"


def test_an_empty_message_is_a_text_without_characters() -> None:
    empty = [{"role": "user", "content": ""}]
    assert text_of({"messages": empty}, "last_user_message", 100) == ""
    assert text_of({"messages": [*MESSAGES, *empty]}, "last_user_message", 100) == "one", "which has a text"
    assert text_of({"messages": [{"role": "assistant", "content": ""}]}, "user_messages", 100) is None
    assert text_of({"messages": []}, "all_messages", 100) is None


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "text", "type", "parts", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(_ANY, max_size=3) | _ANY, st.sampled_from(["last_user_message", "user_messages", "all_messages"]))
@settings(max_examples=100, deadline=None)
def test_no_message_breaks_a_signal(messages: Any, reads: Any) -> None:
    for request in ({"messages": messages}, {"params": {"system": messages}, "prompt": "hi"}, {"params": messages}):
        text = text_of(request, reads, 10)
        assert text is None or len(text) <= 10


KINDS = [
    Labels({"a": (Term(("a", "b c"), "", 1.0), Term((), "x.y", 2.0)), "b": (Term(("d",), "", 1.0),)}),
    Score((Term(("a", "1"), "", 2.5),)),
    *map(Length, ("characters", "words", "lines")),  # type: ignore[arg-type]  # these are all
    *map(Share, ("code", "numbers", "questions")),  # type: ignore[arg-type]  # these are all
    Language(LANGUAGES),
    Nearest({"a": ("a b",), "b": ("c",)}),
    Likeness(("a b", "?")),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
@given(text=st.text(max_size=60))
@settings(max_examples=30, deadline=None)
def test_values_are_as_declared(kind: Any, text: str) -> None:
    signal = Signal("s", kind, "user_messages", 60, 0.0, None)
    found = signal.weigh(text)
    assert signal.weigh(text) == found
    assert 0 <= found.confidence <= 1
    if signal.labels:
        assert found.value is None or found.value in signal.labels
    else:
        assert signal.range is not None
        assert signal.range[0] <= found.value <= signal.range[1]  # type: ignore[operator]  # a number


@pytest.mark.parametrize("text", ["," * 20_000, "a " * 10_000, "((((" * 5_000, "x;" * 10_000, "`" * 20_000])
def test_no_text_takes_long(text: str) -> None:
    """Each of these would take minutes if a pattern looked at it again and again."""
    for kind in KINDS:
        kind.prepared()(text)
