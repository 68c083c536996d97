"""Any table reads the same in any shape and order, and no file ends in anything but outcomes or their error."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.fit.outcomes import OutcomesError, OutcomeSettings, read_outcomes
from tests.fit.outcomes.conftest import FILES

MODELS = ("large", "small", "tiny")
TABLES = st.dictionaries(
    st.text("abc", min_size=1, max_size=2),
    st.dictionaries(st.sampled_from(MODELS), st.sampled_from([0, 0.25, 0.5, 1]), min_size=1),
    min_size=1, max_size=6,
)  # fmt: skip
SAMPLES = sorted(path for path in FILES.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outcomes")


def _digest(path: Path, text: str, **options: Any) -> str:
    path.write_text(text)
    return read_outcomes([str(path)], OutcomeSettings(**options)).digest


@settings(max_examples=25)
@given(TABLES, st.randoms(use_true_random=False))
def test_shapes_and_orders_are_the_same(folder: Path, table: dict[str, dict[str, float]], random: Any) -> None:
    rows = [(id, model, score) for id, scores in table.items() for model, score in scores.items()]
    random.shuffle(rows)
    models = sorted({model for _, model, _ in rows})
    lines = [json.dumps({"id": id, "model": model, "score": score}) for id, model, score in rows]
    wide = [f"{id},{','.join(str(scores.get(model, '')) for model in models)}" for id, scores in table.items()]
    columns = {f"score.{model}": model for model in models}
    named = [json.dumps({"id": id, "scores": scores}) for id, scores in table.items()]
    digests = {
        _digest(folder / "long.jsonl", "\n".join(lines)),
        _digest(folder / "long.csv", "id,model,score\n" + "\n".join(f"{a},{b},{c}" for a, b, c in rows)),
        _digest(folder / "named.json", f"[{','.join(named)}]"),
        _digest(folder / "wide.csv", "\n".join([f"id,{','.join(models)}", *wide]), columns=columns),
        _digest(folder / "twice.jsonl", "\n".join([*lines, *reversed(lines)])),
    }  # fmt: skip
    assert len(digests) == 1


@settings(max_examples=40)
@given(st.sampled_from(SAMPLES), st.data())
def test_damaged_files_give_outcomes_or_their_error(folder: Path, sample: Path, data: st.DataObject) -> None:
    content = bytearray(sample.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content)))
        until = data.draw(st.integers(at, min(at + 40, len(content))))
        content[at:until] = data.draw(st.sampled_from([b"", b"null", b"[]", b"{}", b'"x"', b"\xff", b"7", b",", b"\n"]))
    _read(folder / sample.name, bytes(content))


@pytest.mark.parametrize(
    "sample", [path for path in SAMPLES if path.suffix in (".json", ".jsonl")], ids=lambda p: p.name
)
def test_values_of_any_type_give_outcomes_or_their_error(folder: Path, sample: Path) -> None:
    random = Random(sample.name)
    text = sample.read_text()
    for _ in range(20):
        documents = [json.loads(line) for line in (text.splitlines() if sample.suffix == ".jsonl" else [text])]
        for _ in range(random.randint(1, 3)):
            _replace_one(documents, random)
        _read(folder / sample.name, "\n".join(map(json.dumps, documents)).encode())


def _replace_one(value: Any, random: Random) -> None:
    """Put something else in the place of a value, at any depth."""
    places = list(range(len(value))) if isinstance(value, list) else list(value)
    place = random.choice(places)
    if isinstance(value[place], list | dict) and value[place] and random.random() < 0.8:
        _replace_one(value[place], random)
    else:
        value[place] = random.choice([None, [], {}, "x", -1, 1e300, True, [1], [None], {"a": 1}, {"value": {}}, 10**30])


def _read(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        found = read_outcomes([str(path)], OutcomeSettings(constants={"model": "mine"}))
    except OutcomesError:
        return
    assert all(0 <= score <= 1 for scores in found.scores.values() for score in scores if score is not None)
