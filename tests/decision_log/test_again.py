"""Logged decisions are made again: the same to the byte, different, or not to be known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy import DeniedError, Engine, Guard, InputError, load
from costlens_policy.decision_log import DecisionLog, Mask, decide_again, find_entry
from costlens_policy.decision_log.entries import decision_entry
from costlens_policy.engine.decision import Decision
from costlens_policy.ledger import MemoryStore
from tests.conftest import ROOT
from tests.decision_log.conftest import Entries
from tests.guard.company import REQUEST, TEAM, Breakable, Clock

Company = Callable[..., Engine]


def logged(decision: Decision, mask: Mask | None = None) -> dict[str, Any]:
    """Return a decision's entry as it is read from a file."""
    entry = decision_entry(decision, "1", False, mask or Mask("keep"), record=False)
    found: dict[str, Any] = json.loads(json.dumps(entry))
    return found


REFERENCE = load(ROOT / "policies")


@given(
    st.fixed_dictionaries(
        {"task": st.sampled_from(["coding", "summarization", "chat", "support"])},
        optional={
            "prompt": st.text(max_size=30) | st.just("write to bob@example.com"),
            "team": st.sampled_from(["a", "b"]),
            "tier": st.sampled_from(["free", "standard", "premium"]),
            "prompt_tokens": st.integers(1, 300_000),
            "max_output_tokens": st.integers(1, 10_000),
            "metadata": st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
        },
    )
)
def test_an_open_log_is_decided_the_same_to_the_byte(request: dict[str, Any]) -> None:
    decision = REFERENCE.decide(request)
    assert decide_again(REFERENCE, logged(decision)).verdict == "same"
    masked = decide_again(REFERENCE, logged(decision, Mask()))
    assert masked.verdict in ("same", "undecidable")


def test_a_guards_decision_is_made_again_on_the_balances_it_saw(
    company: Company, entries: Entries, clock: Clock
) -> None:
    engine = company(TEAM)
    with DecisionLog(entries, mask=Mask("keep")) as log, Guard(engine, clock=clock, log=log) as guard:
        for _ in range(8):
            guard.call(REQUEST)
        with pytest.raises(DeniedError):
            guard.call(REQUEST)
    assert entries[-1]["denied"]
    assert [decide_again(engine, entry).verdict for entry in entries] == ["same"] * 9


def test_what_was_changed_is_found(company: Company) -> None:
    engine = company(TEAM)
    entry = logged(engine.decide(REQUEST))
    found = decide_again(engine, entry | {"model": "mini"})
    assert (found.verdict, found.differences) == ("different", {"model": ("mini", "nano")})
    assert not found.outline_is_same


def test_other_policies_are_reported(company: Company) -> None:
    entry = logged(company(TEAM).decide(REQUEST))
    found = decide_again(company(TEAM, models="mini"), entry)
    assert (found.verdict, found.why) == ("different", "the policies are not those of the log")
    found = decide_again(company(TEAM.replace("0.01", "5")), logged(company("routes: []").decide(REQUEST)))
    assert found.verdict in ("different", "undecidable")
    assert found.why


def test_masked_texts_that_nothing_reads_decide_nothing(company: Company) -> None:
    engine = company(TEAM)
    request = {"prompt": "a secret of some length", "team": "red"}
    found = decide_again(engine, logged(engine.decide(request), Mask()))
    assert (found.verdict, found.why) == ("same", "")


def test_masked_texts_that_a_rule_reads_may_decide(company: Company) -> None:
    rule = 'routes: [{id: r, when: \'request.?prompt.orValue("").contains("secret")\', model: mini}]'
    engine = company(rule + "\non_error: deny")
    request = {"prompt": "a secret", "team": "red"}
    found = decide_again(engine, logged(engine.decide(request), Mask()))
    assert (found.verdict, found.why) == ("undecidable", "rules read what is masked: `prompt`")
    assert decide_again(engine, logged(engine.decide(request), Mask("keep"))).verdict == "same"


def test_a_masked_label_in_a_scope_may_decide(company: Company) -> None:
    engine = company(TEAM)
    mask = Mask("keep", {"team": "hash"}, key=b"0123456789abcdef")
    found = decide_again(engine, logged(engine.decide(REQUEST), mask))
    assert (found.verdict, found.why) == ("undecidable", "rules read what is masked: `team`")
    assert found.outline_is_same


def test_rewritten_texts_may_decide(company: Company) -> None:
    rule = "rewrites: [{id: r, apply: [{redact: {kinds: [email]}}]}]"
    engine = company(rule)
    found = decide_again(engine, logged(engine.decide({"prompt": "bob@example.com"}), Mask()))
    assert (found.verdict, found.why) == ("undecidable", "rewrites change what is masked: `prompt`")


def test_a_ledger_that_was_away_decided_with(company: Company, entries: Entries, clock: Clock) -> None:
    store = Breakable(MemoryStore())
    engine = company(TEAM)
    with DecisionLog(entries, mask=Mask("keep")) as log, Guard(engine, store, clock=clock, log=log) as guard:
        store.broken = True
        with pytest.raises(DeniedError):
            guard.call(REQUEST)
        store.broken = False
    found = decide_again(engine, entries[0])
    assert (found.verdict, found.why) == ("undecidable", "the ledger could not be reached")


@pytest.mark.parametrize(
    "spoil",
    [{"now": "yesterday"}, {"now": None}, {"balances_read": [{}]}, {"balances_read": 1}, {"request": 1}, {"masked": 1},
     {"balances_read": [{"budget": "x", "key": "", "used": "x", "held": "0"}]}],
)  # fmt: skip
def test_a_damaged_entry_is_refused(company: Company, spoil: dict[str, Any]) -> None:
    engine = company(TEAM)
    with pytest.raises(InputError, match="not that of a decision"):
        decide_again(engine, logged(engine.decide(REQUEST)) | spoil)
    with pytest.raises(InputError):
        decide_again(engine, {})


def test_a_request_that_is_not_acceptable_any_more(company: Company) -> None:
    engine = company(TEAM)
    entry = logged(engine.decide(REQUEST))
    found = decide_again(engine, entry | {"request": {"nobody": "knows"}})
    assert (found.verdict, found.decision) == ("undecidable", None)
    assert "nobody" in found.why
    other = [{"budget": "nowhere/x", "key": "", "used": "0", "held": "0"}]
    assert decide_again(engine, entry | {"balances_read": other}).verdict == "undecidable"


def test_entries_are_found_between_what_else_is_in_a_file(company: Company, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    entry = logged(company(TEAM).decide(REQUEST))
    lines = ['{"cut', "[]", json.dumps(entry | {"model": "first"}), json.dumps(entry), '{"id": "1", "kind": "charge"}']
    path.write_text("\n".join(lines))
    assert find_entry(path, "1") == entry
    with pytest.raises(InputError, match="no decision `2`"):
        find_entry(path, "2")
    with pytest.raises(InputError, match="cannot be read"):
        find_entry(tmp_path / "nowhere", "2")


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _places(item, (*path, key))


def _with(entry: dict[str, Any], path: tuple[Any, ...], *new: Any) -> dict[str, Any]:
    """Return an entry with something else at a place, or nothing."""
    changed = json.loads(json.dumps(entry))
    at = changed
    for key in path[:-1]:
        at = at[key]
    if new:
        at[path[-1]] = new[0]
    else:
        del at[path[-1]]
    return dict(changed)


def test_damaged_entries_are_refused_or_decided() -> None:
    """Whatever is missing or of another type, at any place: an answer, or an error of this package."""
    entry = logged(REFERENCE.decide({"task": "coding", "team": "red", "prompt": "hi"}), Mask())
    for path in [path for path in _places(entry) if path]:
        for new in ((), (None,), (1,), ("x",), ("NaN",), ([],), ({},), ([None],), ({"budget": 1},)):
            with suppress(InputError):
                assert decide_again(REFERENCE, _with(entry, path, *new)).verdict


def test_entries_of_another_version_are_refused() -> None:
    entry = logged(REFERENCE.decide({"task": "coding", "prompt": "hi"}))
    for other in ({**entry, "v": 2}, {name: value for name, value in entry.items() if name != "v"}):
        with pytest.raises(InputError, match="must be of version 1"):
            decide_again(REFERENCE, other)
