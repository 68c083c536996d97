"""Prompts with their tasks from files that have no scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from costlens_policy.fit.learning import read_prompts
from costlens_policy.fit.outcomes import OutcomesError, OutcomeSettings
from costlens_policy.replay import READY


def _lines(path: Path, *rows: object) -> list[str]:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return [str(path)]


def test_of_messages_the_prompt_is_what_a_signal_reads(tmp_path: Path) -> None:
    said = [{"role": "user", "content": "first"}, {"role": "assistant", "content": "ah"}]
    asked = [*said, {"role": "user", "content": [{"type": "text", "text": "and now"}]}]
    files = _lines(tmp_path / "a.jsonl", {"messages": asked, "task": "chat"}, {"prompt": "plain", "task": 7})
    assert read_prompts(files).pairs == (("and now", "chat"), ("plain", "7"))


def test_recorded_traffic_is_read_by_its_mapping(tmp_path: Path) -> None:
    texts = {"task": "chat", "messages": [{"role": "user", "content": "hello"}]}
    masked = {"task": "chat", "prompt": "[12 characters]"}
    rows = (("charge", texts), ("release", texts), ("charge", masked))
    files = _lines(tmp_path / "log.jsonl", *({"kind": kind, "request": request} for kind, request in rows))
    found = read_prompts(files, None, READY["decision-log"])
    assert found.pairs == (("hello", "chat"), (None, "chat"))
    assert "prompts that are masked: 1" in found.notes[1]
    assert found.notes[0].startswith("dropped: rows with one of the values to leave out in `kind`: 1")


def test_spans_are_taken_apart(tmp_path: Path) -> None:
    span = {
        "traceId": "1", "spanId": "2", "name": "chat", "startTimeUnixNano": "1", "endTimeUnixNano": "2",
        "attributes": [
            {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-5"}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "3"}},
            {"key": "kind", "value": {"stringValue": "chat"}}, {"key": "input.value", "value": {"stringValue": "hi"}},
        ],
    }  # fmt: skip
    files = _lines(tmp_path / "spans.json", {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    columns = {"prompt": "attributes.input.value", "task": "attributes.kind"}
    assert read_prompts(files, OutcomeSettings(columns=columns), READY["otel"]).pairs == (("hi", "chat"),)


def test_rows_are_chosen_and_known_prompts_left_out(tmp_path: Path) -> None:
    row = {"task": "a", "split": "train"}
    files = _lines(tmp_path / "a.jsonl", row | {"prompt": "x"}, row | {"prompt": "Known"}, {"prompt": "y", "task": "a"})
    known = _lines(tmp_path / "known.jsonl", {"prompt": "known"})
    found = read_prompts(files, OutcomeSettings(only={"split": "train"}, drop=tuple(known)))
    assert found.pairs == (("x", "a"),)
    assert len(found.notes) == 2


@pytest.mark.parametrize(
    ("row", "columns", "says"),
    [
        ({"q": "x", "task": "a"}, {}, "no row has a prompt; label the prompts, or map a column"),
        ({"prompt": "x", "kind": "a"}, {}, "no row has a task; label the prompts, or map a column"),
        ({"prompt": "x", "kind": "a"}, {"task": "knd"}, "there is no column `knd`, did you mean `kind`?"),
        ({"prompt": "[12 characters]", "task": "a"}, {}, "no row has a prompt; prompts that are masked: 1"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(tmp_path: Path, row: dict[str, str], columns: dict[str, str], says: str) -> None:
    with pytest.raises(OutcomesError) as error:
        read_prompts(_lines(tmp_path / "a.jsonl", row), OutcomeSettings(columns=columns))
    assert says in str(error.value)


def test_files_without_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutcomesError, match="the files contain no rows"):
        read_prompts(_lines(tmp_path / "a.jsonl"))
