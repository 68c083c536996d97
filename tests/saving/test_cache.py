"""The cache: found while nothing has changed, and as if it were not there whenever anything has, or is wrong."""

from __future__ import annotations

import os
import shutil
import stat
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from costlens_policy import PolicyError, load
from costlens_policy.checker import whole
from costlens_policy.saving import cache, files
from costlens_policy.saving.files import SETTING, Folder, chosen_folder
from tests.saving.plans import CATALOGUE, POLICY, POLICY_SET, answer, write_set

NOW: Final = datetime(2026, 5, 1, 9, tzinfo=UTC)
_REQUEST: Final = {"task": "code", "prompt": "x"}


class Place:
    """A policy set in ``folder``, a cache in ``plans``, and how often policies were read."""

    def __init__(self, folder: Path, plans: Path) -> None:
        self.folder = folder
        self.plans = plans
        self.times_read = 0

    def load(self, *paths: Path | str) -> tuple[str, bool]:
        """Load and decide; return the answer, and whether the policies were read for it."""
        before = self.times_read
        engine = load(*(paths or (self.folder,)))
        text = answer(engine.plan, _REQUEST, None, NOW)
        assert text == answer(load(*(paths or (self.folder,)), cache=False).plan, _REQUEST, None, NOW)
        self.times_read -= 1
        return text, self.times_read > before

    def was_read(self, *paths: Path | str) -> bool:
        return self.load(*paths)[1]

    def the_plan(self) -> Path:
        (only,) = self.plans.glob("*.plan")
        return only

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def place(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Place:
    cache = tmp_path_factory.mktemp("elsewhere") / "cache"
    monkeypatch.setenv(SETTING, str(cache))
    made = Place(write_set(tmp_path / "policies"), cache / "plans")
    check = whole.check

    def counting(*arguments: Any, **keywords: Any) -> Any:
        made.times_read += 1
        return check(*arguments, **keywords)

    monkeypatch.setattr(whole, "check", counting)
    return made


def test_the_second_time_nothing_is_read(place: Place) -> None:
    assert [place.was_read() for _ in range(3)] == [True, False, False]


def test_an_edit_of_any_file_counts(place: Place) -> None:
    first, _ = place.load()
    place.edit("policy.yaml", "model: large", "model: nano")
    second, was_read = place.load()
    assert was_read
    assert '"large"' in first
    assert '"large"' not in second
    for name, old, new in (
        ("policy-set.yaml", "max_output_tokens: 100", "max_output_tokens: 200"),
        ("catalogue.yaml", "output: 2", "output: 3"),
        ("policy.yaml", "routes:", "# a comment moves every place\nroutes:"),
    ):
        place.edit(name, old, new)
        assert place.was_read(), name
        assert not place.was_read(), name


def test_an_edit_that_keeps_size_and_time_counts(place: Place) -> None:
    place.load()
    path = place.folder / "policy.yaml"
    before = path.stat()
    place.edit("policy.yaml", '"code"', '"chat"')
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert place.was_read()


def test_going_back_finds_the_same_decisions(place: Place) -> None:
    first, _ = place.load()
    place.edit("policy.yaml", "model: large", "model: nano")
    place.load()
    place.edit("policy.yaml", "model: nano", "model: large")
    assert place.load()[0] == first


def test_a_new_file_counts_even_if_nothing_names_it(place: Place) -> None:
    place.load()
    (place.folder / "other.yaml").write_text(POLICY.replace("routing", "other"), encoding="utf-8")
    assert place.was_read()
    assert not place.was_read()


def test_a_second_policy_set_is_an_error_as_ever(place: Place) -> None:
    place.load()
    (place.folder / "second.yaml").write_text(POLICY_SET, encoding="utf-8")
    with pytest.raises(PolicyError, match="CL202"):
        load(place.folder)
    (place.folder / "second.yaml").unlink()
    assert not place.was_read()


def test_a_file_that_is_gone_is_an_error_as_ever(place: Place) -> None:
    place.load()
    (place.folder / "policy.yaml").unlink()
    with pytest.raises(PolicyError, match="CL203"):
        load(place.folder)


def test_what_is_wrong_is_reported_with_every_warning(place: Place) -> None:
    place.load()
    place.edit("policy.yaml", "request.task ==", "request.tsak ==")
    with pytest.raises(PolicyError) as with_cache:
        load(place.folder)
    with pytest.raises(PolicyError) as without:
        load(place.folder, cache=False)
    assert with_cache.value.diagnostics == without.value.diagnostics
    place.edit("policy.yaml", "request.tsak ==", "request.task ==")
    assert not place.was_read()


def test_a_link_that_leads_elsewhere_counts(place: Place, tmp_path: Path) -> None:
    target, other = tmp_path / "policies" / "v1.txt", tmp_path / "policies" / "v2.txt"
    for path in (target, other):
        shutil.copy(place.folder / "policy.yaml", path)
    (place.folder / "policy.yaml").unlink()
    (place.folder / "policy.yaml").symlink_to(target)
    assert [place.was_read(), place.was_read()] == [True, False]
    (place.folder / "policy.yaml").unlink()
    (place.folder / "policy.yaml").symlink_to(other)
    assert place.was_read()


def test_a_repository_that_came_to_be_counts(place: Place) -> None:
    """References may not leave it, so what was allowed may be no longer."""
    outside = place.folder.parent / "catalogue.yaml"
    shutil.move(place.folder / "catalogue.yaml", outside)
    place.edit("policy-set.yaml", "[catalogue.yaml]", "[../catalogue.yaml]")
    assert [place.was_read(place.folder, outside), place.was_read(place.folder, outside)] == [True, False]
    (place.folder / ".git").mkdir()
    with pytest.raises(PolicyError, match="CL204"):
        load(place.folder, outside)


def test_names_are_those_that_were_given(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.load()
    monkeypatch.chdir(place.folder.parent)
    assert place.was_read("policies"), "spans carry the path as it was named"
    assert not place.was_read("policies")
    monkeypatch.chdir(write_set(place.folder.parent / "elsewhere" / "policies").parent)
    assert place.was_read("policies"), "the same name in another folder is another file"


def test_another_day_counts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that retires tomorrow is an error tomorrow, though no file has changed."""
    place.load()
    monkeypatch.setattr(cache, "system_now", lambda: datetime(2031, 1, 1, tzinfo=UTC))
    assert place.was_read()


@pytest.mark.parametrize("what", ["__version__", "FORMAT", "_own_code", "_libraries", "_time_zones"])
def test_another_installation_counts(place: Place, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    place.load()
    changed: Any = {"__version__": "9.9.9", "FORMAT": 99}.get(what, lambda: iter(["genai_prices-99.0.dist-info"]))
    monkeypatch.setattr(cache, what, changed)
    cache.installation.cache_clear()
    try:
        assert place.was_read()
    finally:
        monkeypatch.undo()
        cache.installation.cache_clear()


def test_the_installation_knows_the_libraries_and_the_code() -> None:
    libraries = "\n".join(cache._libraries())
    assert "genai_prices-" in libraries
    assert "cel_python-" in libraries
    code = "\n".join(cache._own_code())
    assert "RECORD" in code or "plan.py: " in code


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x80\x04N."),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:300]),
        lambda path: path.write_bytes(path.read_bytes().replace(b'"large"', b'"nanoo"')),
        lambda path: path.write_bytes(path.read_bytes().replace(b'"version": "', b'"version": "9', 1)),
        lambda path: path.write_bytes(path.read_bytes().replace(b'"remarks": {', b'"remarks": [{', 1)),
        lambda path: path.write_bytes(path.read_bytes().replace(b'"repository": "', b'"repository": 1, "": "', 1)),
        lambda path: path.write_bytes(path.read_bytes().replace(b'"files": {', b'"files": 1, "": {', 1)),
        lambda path: path.write_bytes(path.read_bytes().replace(b'"remarks": {', b'"remarks": null, "": {', 1)),
    ],
)
def test_a_damaged_plan_is_made_anew(place: Place, damage: Callable[[Path], Any]) -> None:
    place.load()
    whole_plan = place.the_plan().read_bytes()
    damage(place.the_plan())
    assert place.the_plan().read_bytes() != whole_plan
    assert place.was_read()
    assert place.the_plan().read_bytes() == whole_plan


def test_a_plan_that_cannot_be_read(place: Place) -> None:
    place.load()
    path = place.the_plan()
    path.unlink()
    path.mkdir()
    assert [place.was_read(), place.was_read()] == [True, True]


def test_a_folder_that_cannot_be_made(place: Place) -> None:
    place.plans.parent.write_text("a file where the folder should be")
    assert [place.was_read(), place.was_read()] == [True, True]


def test_a_disk_that_is_full(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "replace_file", full)
    assert [place.was_read(), place.was_read()] == [True, True]


class TestTrust:
    def test_the_folder_is_closed_to_others(self, place: Place) -> None:
        place.load()
        assert stat.S_IMODE(place.plans.stat().st_mode) == 0o700
        assert stat.S_IMODE(place.the_plan().stat().st_mode) == 0o600

    @pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
    def test_what_others_may_write_to_is_not_used(self, place: Place, mode: int) -> None:
        place.load()
        place.the_plan().chmod(mode)
        assert place.was_read()
        assert not place.was_read(), "writing replaced it"
        place.plans.chmod(mode)
        assert [place.was_read(), place.was_read()] == [True, True]
        assert Folder(place.plans).files() == []
        assert Folder(place.plans).clear() == 0

    def test_what_another_user_owns_is_not_used(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        place.load()
        monkeypatch.setattr(files.os, "geteuid", lambda: place.plans.stat().st_uid + 1)
        assert [place.was_read(), place.was_read()] == [True, True]

    def test_links_are_not_followed(self, place: Place, tmp_path: Path) -> None:
        place.load()
        plan = place.the_plan()
        shutil.move(plan, tmp_path / "moved")
        plan.symlink_to(tmp_path / "moved")
        assert place.was_read()
        shutil.move(place.plans, tmp_path / "plans")
        place.plans.symlink_to(tmp_path / "plans")
        assert [place.was_read(), place.was_read()] == [True, True]

    def test_a_repository_cannot_bring_its_plan_along(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        place.load()
        forged = place.folder / ".cache"
        monkeypatch.setenv(SETTING, str(forged))
        shutil.copytree(place.plans, forged / "plans")
        before = (place.the_plan().name, place.the_plan().read_bytes())
        assert [place.was_read(), place.was_read()] == [True, True]
        assert [(path.name, path.read_bytes()) for path in (forged / "plans").iterdir()] == [before], "nor gets one"

    @pytest.mark.parametrize("named", ["folder", "file", "link", "above"])
    def test_whatever_it_claims(self, place: Place, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
        """A plan that says it was made of nothing, elsewhere, would hold wherever it is found."""
        (place.folder / ".git").mkdir()
        link = place.folder.parent / "link"
        link.symlink_to(place.folder)
        path = {"file": place.folder / "policy-set.yaml", "link": link, "above": place.folder.parent}.get(
            named, place.folder
        )
        monkeypatch.setenv(SETTING, str(place.folder / "sub" / ".." / ".cache"))
        claimed = {"files": {}, "folders": {}, "links": {}, "origin": "/x/y.yaml", "repository": "/x"}
        monkeypatch.setattr(cache, "inputs_of", lambda *_: claimed)
        monkeypatch.setattr(cache, "still_hold", lambda *_: True)
        assert [place.was_read(path), place.was_read(path)] == [True, True]
        monkeypatch.setattr(cache, "_could_be_brought_along", lambda *_: False)
        assert [place.was_read(path), place.was_read(path)] == [True, False], "or this test would show nothing"


class TestWhere:
    @pytest.mark.parametrize("word", ["off", "OFF", " off ", "0", "no", "false"])
    def test_off(self, place: Place, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
        monkeypatch.setenv(SETTING, word)
        assert chosen_folder() is None
        assert [place.was_read(), place.was_read()] == [True, True]

    def test_not_for_this_policy_set(self, place: Place) -> None:
        load(place.folder, cache=False)
        assert not place.plans.exists()

    @pytest.mark.parametrize("setting", ["", None])
    def test_the_user_s_own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str | None) -> None:
        monkeypatch.delenv(SETTING) if setting is None else monkeypatch.setenv(SETTING, setting)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setattr(files.sys, "platform", "linux")
        for given, expected in ((str(tmp_path / "x"), "x"), ("", ".cache"), ("relative", ".cache")):
            monkeypatch.setenv("XDG_CACHE_HOME", given)
            found = chosen_folder()
            assert found is not None
            assert found.path == tmp_path / expected / "costlens-policy" / "plans"
        monkeypatch.setattr(files.sys, "platform", "darwin")
        found = chosen_folder()
        assert found is not None
        assert found.path == tmp_path / "Library" / "Caches" / "costlens-policy" / "plans"

    def test_a_user_without_a_home_has_no_cache(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(SETTING)
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(files.os.path, "expanduser", lambda path: path)
        assert chosen_folder() is None


def test_writers_at_once_leave_one_whole_plan(place: Place) -> None:
    start = threading.Barrier(6)
    answers: list[str] = []

    def run() -> None:
        start.wait()
        answers.append(answer(load(place.folder).plan, _REQUEST, None, NOW))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    assert len(set(answers)) == 1
    assert [path.suffix for path in place.plans.iterdir()] == [".plan"]
    assert not place.was_read()


def test_a_file_that_changes_while_it_is_read_is_seen_the_next_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digests kept are those of the bytes that were read, not of what is there when the plan is written."""
    keep = cache.KeptPlan.keep

    def late(self: cache.KeptPlan, *arguments: Any) -> None:
        place.edit("policy.yaml", "model: large", "model: nano")
        keep(self, *arguments)

    with monkeypatch.context() as once:
        once.setattr(cache.KeptPlan, "keep", late)
        load(place.folder)
    assert place.was_read()
    assert '"large"' not in place.load()[0]


def test_a_file_that_comes_while_policies_are_read_leaves_no_plan(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = cache.inputs_of

    def late(*arguments: Any) -> Any:
        (place.folder / "new.yaml").write_text(CATALOGUE, encoding="utf-8")
        return take(*arguments)

    monkeypatch.setattr(cache, "inputs_of", late)
    load(place.folder)
    assert not place.plans.exists()


def test_old_plans_go_and_the_newest_stay(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.load()
    old, stale = place.plans / "a.plan", place.plans / ".b.part"
    for path in (old, stale):
        path.write_bytes(b"")
        os.utime(path, (0, 0))
    place.edit("policy.yaml", '"code"', '"chat"')
    place.load()
    assert [path.name for path in place.plans.iterdir()] == [place.the_plan().name]
    for index in range(4):
        Folder(place.plans).write(f"p{index}", b"")
        os.utime(place.plans / f"p{index}.plan", (time.time() - 100 + index,) * 2)
    monkeypatch.setattr(files, "_MOST_PLANS", 3)
    Folder(place.plans).write("last", b"")
    kept = {path.stem for path in place.plans.iterdir()}
    assert len(kept) == 3
    assert {"p3", "last"} < kept, "the third is the plan of the edit above"
    assert Folder(place.plans).clear() == 3
    assert list(place.plans.iterdir()) == []
