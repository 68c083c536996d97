"""Masks: what is shown of texts and names in a record of a decision."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy import load
from costlens_policy.engine.mask import Mask
from tests.conftest import ROOT
from tests.guard.company import write_company

ENGINE = load(ROOT / "policies")
KEY = b"a key of sixteen"
REQUEST: dict[str, Any] = {
    "task": "coding",
    "team": "red-team",
    "user": "alice",
    "tags": ["blue"],
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "mail bob@example.com, xyzzy"}]},
    ],
    "tools": [{"type": "function", "function": {"name": "look", "description": "xyzzy"}}],
    "params": {"temperature": 0.5, "service_tier": "flex", "user": "xyzzy", "stop": ["xyzzy"]},
    "metadata": {"note": "xyzzy", "n": 3},
}


def shown(mask: Mask | None, request: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return ENGINE.decide(request or REQUEST).to_dict(mask=mask, **more)


def test_sizes_stand_for_texts_and_all_else_stays() -> None:
    found = shown(Mask())
    assert "xyzzy" not in json.dumps(found)
    request = found["request"]
    assert request["messages"][1] == {"role": "user", "content": [{"type": "text", "text": "[27 characters]"}]}
    assert request["params"] == {
        "temperature": 0.5, "service_tier": "flex", "user": "[5 characters]", "stop": ["[5 characters]"]
    }  # fmt: skip
    assert request["metadata"] == {"note": "[5 characters]", "n": 3}
    assert (request["team"], request["user"], request["tags"]) == ("red-team", "alice", ["blue"])
    open_ = shown(None)
    same = ("effect", "model", "rule", "estimate", "balances", "policy_digest", "reasons", "rewrites")
    assert {name: found[name] for name in same} == {name: open_[name] for name in same}


def test_keep_changes_nothing() -> None:
    decision = ENGINE.decide(REQUEST)
    assert decision.to_dict(mask=Mask("keep")) == decision.to_dict()
    assert "record" not in decision.to_dict(record=False)
    assert "record" not in decision.to_dict(record=False, texts=False)


def test_personal_data_is_redacted_as_rewrites_do() -> None:
    found = json.dumps(shown(Mask("redact")))
    assert "bob@example.com" not in found
    assert "mail [email], xyzzy" in found


def test_hashes_are_equal_for_equal_values_and_take_a_key() -> None:
    mask = Mask("size", {"team": "hash", "user": "hash"}, key=KEY)
    found = shown(mask)
    assert "red-team" not in json.dumps(found)
    assert "alice" not in json.dumps(found)
    key = found["balances_read"][0]["key"]
    assert key == found["request"]["team"] == shown(mask)["request"]["team"]
    assert key != shown(Mask("size", {"team": "hash"}, key=KEY[::-1]))["request"]["team"]
    for bad in ({"team": "hash"}, {"team": "hash"}):
        with pytest.raises(ValueError, match="`key`"):
            Mask("size", bad, key=b"short")  # type: ignore[arg-type]


def test_attributes_are_dropped_and_kept_by_name() -> None:
    found = shown(Mask("size", {"metadata": "drop", "tags": "drop", "messages": "keep", "user": "size"}))
    assert "metadata" not in found["request"]
    assert "tags" not in found["request"]
    assert found["request"]["user"] == "[5 characters]"
    assert "mail" in json.dumps(found["request"]["messages"])


def test_short_names_do_not_stay_in_sentences() -> None:
    request = REQUEST | {"team": "x"}
    found = shown(Mask("size", {"team": "size"}), request)
    assert found["balances_read"][0]["key"] == "[1 characters]"


@pytest.mark.parametrize("wrong", [{"texts": "blur"}, {"attributes": {"team": "blur"}}, {"texts": "drop"}])
def test_wrong_masks_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be one of|is for attributes"):
        Mask(**wrong)


@given(st.text("abcdefghij é", min_size=12, max_size=40).map(lambda text: f"Q{text}Q"))
def test_no_text_is_left_anywhere(secret: str) -> None:
    """Whatever place a text is in, conditions and reasons among them."""
    request = {
        "task": "coding",
        "prompt": secret,
        "metadata": {"a": {"b": [secret]}},
        "params": {"stop": [secret]},
        "response_format": {"type": "json_schema", "x": secret},
    }
    for mask in (Mask(), Mask("hash", key=KEY)):
        assert json.dumps(secret)[1:-1] not in json.dumps(ENGINE.decide(request).to_dict(mask=mask))


def test_an_attribute_that_there_is_none_of_is_refused() -> None:
    with pytest.raises(ValueError, match="the mask names `usr`, which is not an attribute; did you mean `user`"):
        shown(Mask(attributes={"usr": "hash"}, key=KEY))


TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "xyzzy_look",
        "parameters": {
            "type": "object",
            "properties": {"xyzzy": {"type": "string", "enum": ["xyzzy"]}, "plugh": {"type": "string"}, "type": {}},
            "required": ["xyzzy"],
            "$defs": {"xyzzy": {"description": "xyzzy"}},
        },
    },
}


@pytest.mark.parametrize("mode", ["size", "hash"])
def test_names_of_tools_and_properties_are_texts(mode: Any) -> None:
    call = {"type": "tool_use", "id": "xyzzy", "name": "xyzzy", "input": {"xyzzy": {"role": "xyzzy", "a": ["xyzzy"]}}}
    request = REQUEST | {
        "tools": [TOOL],
        "messages": [{"role": "assistant", "content": [call]}, {"role": "user", "content": [{"xyzzy": "xyzzy"}]}],
        "params": {"tool_choice": {"type": "function", "function": {"name": "xyzzy"}}, "system": [{"text": "xyzzy"}]},
        "response_format": {"type": "json_schema", "json_schema": {"name": "xyzzy", "schema": TOOL}},
        "metadata": {"type": "xyzzy", "role": "xyzzy"},
    }
    found = shown(Mask(mode, key=KEY), request)
    assert "xyzzy" not in json.dumps(found)
    assert found["request"]["metadata"].keys() == {"type", "role"}
    if mode == "size":
        schema = found["request"]["tools"][0]["function"]["parameters"]
        names = ["[5 characters]", "[5 characters] 2", "[4 characters]"]
        assert list(schema["properties"]) == names  # as many as there were
        assert schema["properties"]["[5 characters]"] == {"type": "string", "enum": ["[5 characters]"]}
        assert schema["type"] == "object"


def test_words_of_an_api_stay_where_they_look_like_words() -> None:
    request: dict[str, Any] = {
        "prompt": "x",
        "params": {"tool_choice": "auto"},
        "response_format": {"type": "xyzzy, a sentence"},
    }
    request["params"]["reasoning"] = {"effort": "high", "xyzzy, too": "a sentence of xyzzy"}
    found = shown(Mask(), request)
    reasoning = {"effort": "high", "[10 characters]": "[19 characters]"}
    assert found["request"]["params"] == {"tool_choice": "auto", "reasoning": reasoning}
    assert found["request"]["response_format"] == {"type": "[17 characters]"}


@given(st.recursive(st.just("Qsecret words"), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
    st.sampled_from(["Qsecret words", "content", "input", "text", "type", "properties"]), inner, max_size=3
)))  # fmt: skip
def test_no_text_or_name_is_left_in_what_is_sent(value: Any) -> None:
    request = {"messages": [{"role": "user", "content": value if isinstance(value, list) else [value]}]}
    exported = {"request": request, "messages": request["messages"], "tools": [value], "params": {}, "prompt": None}
    shown, _ = Mask().request(exported["request"], ENGINE.plan)
    assert "Qsecret" not in json.dumps([shown, Mask()._sent({**exported, "system": None}, {}, {})])


@pytest.mark.parametrize("mode", ["size", "hash"])
def test_a_scope_key_shows_no_masked_text(tmp_path: Path, mode: Any) -> None:
    scope = 'request.customer + "/" + request.?metadata["desk"].orValue("")'
    engine = write_company(
        tmp_path,
        f"budgets: [{{id: b, scope: '{scope}', hard_limit_usd: 0.0000001, window: {{calendar: day}}}}]",
        more="attributes: {customer: {type: string, required: true}}",
    )
    decision = engine.decide({"prompt": "hi", "customer": "xyzzy & co", "metadata": {"desk": "plugh"}})
    assert not decision.allowed
    found = decision.to_dict(mask=Mask(mode, key=KEY))
    assert not any(word in json.dumps(found) for word in ("xyzzy", "plugh"))
    masked = Mask(mode, key=KEY)._text
    key = f"{masked('xyzzy & co', mode)}/{masked('plugh', mode)}"
    assert [item["key"] for item in found["balances_read"]] == [key]
    assert any(key in reason for reason in found["reasons"])
