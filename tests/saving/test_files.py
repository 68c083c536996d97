"""Files of saved plans: written whole or not at all, and refused with a code where they are not what they should be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy import Engine, InputError, PolicyError, load, load_plan
from costlens_policy.compiler import Plan
from costlens_policy.saving import files
from costlens_policy.saving.encoding import NotSavable, UnusablePlan, class_named, decode, encode, name_of
from costlens_policy.saving.files import content_of, parse
from tests.saving.plans import answer, write_set

NOW: Final = datetime(2026, 5, 1, 9, tzinfo=UTC)
_REQUEST: Final = {"task": "code", "prompt": "x"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return load(write_set(tmp_path_factory.mktemp("set")))


@pytest.fixture
def saved(engine: Engine, tmp_path: Path) -> Path:
    path = tmp_path / "team.plan"
    engine.save(path)
    return path


def _codes(path: Path) -> list[str]:
    with pytest.raises(PolicyError) as raised:
        load_plan(path)
    return [item.code for item in raised.value.diagnostics]


def test_a_saved_plan_decides_as_before(engine: Engine, saved: Path) -> None:
    loaded = load_plan(saved)
    assert answer(loaded.plan, _REQUEST, None, NOW) == answer(engine.plan, _REQUEST, None, NOW)
    assert loaded.plan.policy_digest == engine.plan.policy_digest
    again = saved.with_name("again.plan")
    loaded.save(str(again))
    assert again.read_bytes() == saved.read_bytes(), "the same plan is the same file"


def test_saving_replaces_what_was_there_and_leaves_nothing_beside(engine: Engine, saved: Path) -> None:
    saved.write_text("something else")
    engine.save(saved)
    assert load_plan(saved).plan.name == "small"
    assert os.listdir(saved.parent) == [saved.name]


def test_a_plan_that_cannot_be_written_leaves_what_was_there(
    engine: Engine, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(InputError, match=r"team\.plan` cannot be written: no space left on device"):
        engine.save(saved)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_a_folder_that_is_not_there(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written: no such file or directory"):
        engine.save(tmp_path / "nowhere" / "team.plan")
    assert _codes(tmp_path / "nowhere" / "team.plan") == ["CL001"]
    assert _codes(tmp_path) == ["CL001"]


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"apiVersion: costlens-policy/v1\n", b"{}", b"costlens"])
def test_other_files_are_no_plans(saved: Path, content: bytes) -> None:
    saved.write_bytes(content)
    with pytest.raises(PolicyError, match=r"team\.plan` cannot be used: it is not a saved plan"):
        load_plan(saved)
    assert _codes(saved) == ["CL024"]


@given(st.data())
def test_damage_is_noticed_wherever_it_is(engine: Engine, data: st.DataObject) -> None:
    """One byte changed, or the rest cut off: never a plan, and never anything but an error of ours."""
    content = content_of(engine.plan, {})
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans(), label="cut off"):
        damaged = content[:place]
    else:
        other = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
        damaged = content[:place] + bytes([other]) + content[place + 1 :]
    try:
        plan = parse(damaged).plan()
    except UnusablePlan:
        return
    assert encode(plan) == encode(engine.plan), "only the remarks, which no one reads here, can have changed"


@pytest.mark.parametrize("key", ["format", "version"])
def test_other_versions_are_refused(saved: Path, key: str) -> None:
    magic, head, body = saved.read_bytes().split(b"\n", 2)
    changed = json.loads(head) | {key: "99.0"}
    saved.write_bytes(b"\n".join((magic, json.dumps(changed).encode(), body)))
    assert _codes(saved) == ["CL025"]


def _rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the plan in a file, and its digest with it, as one could who means harm."""
    content = path.read_bytes()
    encoded = json.loads(content.split(b"\n", 2)[2])
    change(encoded)
    path.write_bytes(_signed(content, encoded))


def _signed(content: bytes, encoded: Any) -> bytes:
    magic, head, _ = content.split(b"\n", 2)
    body = json.dumps(encoded).encode()
    return b"\n".join((magic, json.dumps(json.loads(head) | {"sha256": sha256(body).hexdigest()}).encode(), body))


@pytest.mark.parametrize(
    "name",
    [
        "os:system", "subprocess:Popen", "builtins:eval", "..os:system", "compiler.plan:Plan.__init__",
        "compiler.plan:dataclass", "guard.guard:Guard", "guard.events:Event", "compiler.plan:Decimal", "compiler.plan",
        "compiler.layers:_LayerCompiler", "expressions.compile.exact.evaluation:Exact", "cli.app:main",
        "compiler.nothing:X", "tokens.bpe:importlib", "saving.files:Folder",
    ],
)  # fmt: skip
def test_only_what_plans_are_made_of_can_be_named(saved: Path, name: str) -> None:
    def change(encoded: dict[str, Any]) -> None:
        encoded["kinds"][-1] = [name, None]

    _rewritten(saved, change)
    assert _codes(saved) == ["CL024"]


@pytest.mark.parametrize(
    "change",
    [
        lambda encoded: encoded.clear(),
        lambda encoded: encoded["rows"].clear(),
        lambda encoded: encoded["rows"].append([0]),
        lambda encoded: encoded["rows"].append([10**6, 0]),
        lambda encoded: encoded["rows"].append([0, 10**9]),
        lambda encoded: encoded["rows"].append(["x"]),
        lambda encoded: encoded["rows"].append(None),
        lambda encoded: encoded["rows"].pop(),
        lambda encoded: encoded["leaves"].pop(),
        lambda encoded: encoded["kinds"].append("pickle"),
        lambda encoded: encoded["kinds"].append(None),
    ],
)  # fmt: skip
def test_whatever_else_a_file_holds(saved: Path, change: Callable[[dict[str, Any]], None]) -> None:
    _rewritten(saved, change)
    assert _codes(saved) == ["CL024"]


@given(st.data())
def test_whatever_the_rows_say_nothing_but_an_error_of_ours_comes_of_it(engine: Engine, data: st.DataObject) -> None:
    """With the right digest, too: rows that refer to other parts, in any number, of any class that plans know."""
    encoded = json.loads(json.dumps(encode(engine.plan)))
    for _ in range(data.draw(st.integers(1, 3))):
        row = data.draw(st.sampled_from(encoded["rows"]))
        place = data.draw(st.integers(0, len(row) - 1))
        most = len(encoded["kinds"]) - 1 if place == 0 else len(encoded["leaves"]) + len(encoded["rows"])
        if data.draw(st.booleans()):
            row[place] = data.draw(st.integers(-most, most))
        else:
            row.insert(place + 1, data.draw(st.integers(0, most)))
    try:
        plan = parse(_signed(content_of(engine.plan, {}), encoded)).plan()
    except UnusablePlan:
        return
    assert isinstance(plan, Plan)


def test_fields_of_another_version(saved: Path) -> None:
    def change(encoded: dict[str, Any]) -> None:
        kind = next(kind for kind in encoded["kinds"] if kind[0] == "compiler.plan:Layer")
        kind[1].append("newer")

    _rewritten(saved, change)
    assert _codes(saved) == ["CL025"]


def test_what_has_no_saved_form(tmp_path: Path) -> None:
    for value in (object(), lambda: None, {1, 2}, tmp_path, Engine):
        with pytest.raises(NotSavable):
            encode((1, value))
    endless: list[Any] = []
    endless.append((endless,))
    with pytest.raises(NotSavable, match="contains itself"):
        encode(endless)


def test_no_depth_is_too_deep() -> None:
    deep: Any = ()
    for _ in range(50_000):
        deep = (deep, "x")
    encoded = encode(deep)
    again, depth = decode(json.loads(json.dumps(encoded))), 0
    while again:
        again, depth = again[0], depth + 1
    assert depth == 50_000


def test_a_plan_that_has_no_saved_form_is_an_error_of_ours(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Any) -> Any:
        raise NotSavable("a plan that holds a spoon cannot be saved")

    monkeypatch.setattr(files, "encode", refuse)
    with pytest.raises(InputError, match="a plan that holds a spoon cannot be saved"):
        engine.save(tmp_path / "x")


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(st.characters(exclude_categories=()))
        | st.binary()
        | st.decimals(allow_nan=False)
        | st.dates()
        | st.datetimes(timezones=st.just(UTC), allow_imaginary=False).map(lambda moment: moment.replace(fold=0))
        | st.timedeltas(),
        lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    )
)
def test_plain_values_come_back_as_they_were(value: Any) -> None:
    again = decode(json.loads(json.dumps(encode((value, value)))))
    assert again == (value, value)
    assert repr(again[0]) == repr(value), "-0.0 is not 0.0, and True is not 1"


def test_every_class_of_a_plan_has_its_name_back(engine: Engine) -> None:
    names = [kind[0] for kind in encode(engine.plan)["kinds"] if not isinstance(kind, str)]
    assert name_of(Plan) in names
    assert [name_of(class_named(name)) for name in names] == names


_NO_ARTEFACTS: Final = """
import sys
from costlens_policy import load_plan
engine = load_plan(sys.argv[1])
print(engine.decide({"task": "code", "prompt": "x"}).model)
heavy = {"lark", "celpy", "jsonschema", "yaml", "genai_prices", "pydantic", "polars", "rich", "click"}
print(sorted(heavy & sys.modules.keys()))
"""


def test_a_service_that_loads_a_plan_imports_no_library_that_reads_policies(saved: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _NO_ARTEFACTS, str(saved)], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.splitlines() == ["large", "[]"], ran.stderr
