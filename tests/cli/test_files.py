"""Files are written whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from costlens_policy.cli.output import write_file
from costlens_policy.errors import InputError


def test_makes_folders_on_the_way(tmp_path: Path):
    write_file(tmp_path / "a" / "b.yaml", b"x")
    assert (tmp_path / "a" / "b.yaml").read_bytes() == b"x"


def test_keeps_permissions(tmp_path: Path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_file(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o640


def test_new_files_have_the_usual_permissions(tmp_path: Path):
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "a.yaml", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a.yaml").stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(tmp_path: Path):
    (tmp_path / "real.yaml").write_bytes(b"old")
    link = tmp_path / "link.yaml"
    link.symlink_to("real.yaml")
    write_file(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "real.yaml").read_bytes() == b"new"


@pytest.mark.parametrize("failing", ["fsync", "replace", "chmod"])
def test_a_failure_leaves_the_old_file_and_nothing_else(outside_git: Path, monkeypatch, failing):
    path = outside_git / "a.yaml"
    path.write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(InputError, match=r"a\.yaml` cannot be written: no space left on device"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [item.name for item in outside_git.iterdir()] == ["a.yaml"]


def test_a_folder_is_not_replaced(tmp_path: Path):
    with pytest.raises(InputError, match="is a directory"):
        write_file(tmp_path, b"x")


def test_a_killed_process_leaves_the_old_file(outside_git: Path):
    """Killed between writing and renaming, where nothing can be cleaned up, the old file is still whole."""
    path = outside_git / "a.yaml"
    path.write_bytes(b"old")
    code = (
        "import os, signal, sys; from pathlib import Path; from costlens_policy.cli.output import write_file\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_file(Path(sys.argv[1]), b'new' * 1000)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    leftover = [item.name for item in outside_git.iterdir() if item.name != "a.yaml"]
    assert all(name.startswith(".a.yaml.") for name in leftover)  # hidden, and no reader of policies looks at it
