"""``check`` through the program: formats, exit codes, and input that nobody should send."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

POLICY = """\
apiVersion: costlens-policy/v1
kind: Policy
metadata: {name: a, version: "1"}
"""


def test_fine(run, starter: Path):
    result = run("check", starter)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr == "no problems in 8 files\n"


def test_the_present_folder_when_left_out(run, starter: Path, monkeypatch):
    monkeypatch.chdir(starter)
    assert run("check").exit_code == 0


def test_a_mistake_at_its_place(run, starter: Path, monkeypatch):
    monkeypatch.chdir(starter)
    path = Path("policies/routing.yaml")
    path.write_text(path.read_text().replace("request.tier", "request.teir"))
    result = run("check", ".")
    assert result.exit_code == 1
    assert "error[CL302]" in result.stdout
    assert "--> policies/routing.yaml:" in result.stdout
    assert 'when: request.teir == "pro"' in result.stdout
    assert "did you mean `tier`?" in result.stdout
    assert result.stderr == "1 error in 8 files\n"


@pytest.fixture
def wrong(starter: Path) -> Path:
    path = starter / "policies" / "routing.yaml"
    path.write_text(path.read_text().replace("gpt-5-nano", "gpt-5-nnano"))
    return starter


def test_json(run, wrong: Path):
    result = run("check", wrong, "--format", "json")
    assert result.exit_code == 1
    assert {item["severity"] for item in json.loads(result.stdout)} == {"error"}


def test_sarif(run, wrong: Path):
    log = json.loads(run("check", wrong, "--format", "sarif").stdout)
    assert log["version"] == "2.1.0"
    assert log["runs"][0]["results"]


def test_github(run, wrong: Path):
    assert run("check", wrong, "--format", "github").stdout.startswith("::error file=")


def test_concise(run, wrong: Path):
    for line in run("check", wrong, "--format", "concise").stdout.splitlines():
        assert line.startswith(str(wrong))
        assert "error[CL" in line


@pytest.mark.parametrize("format", ["json", "sarif"])
def test_formats_for_programs_are_valid_without_problems(run, starter: Path, format):
    assert json.loads(run("check", starter, "--format", format).stdout) is not None


def test_strict(run, starter: Path):
    path = starter / "policies" / "routing.yaml"
    path.write_text(path.read_text().replace("variables:\n", "variables:\n  unused: request.tier\n"))
    relaxed = run("check", starter)
    assert relaxed.exit_code == 0
    assert "warning[CL213]" in relaxed.stdout
    assert run("check", "--strict", starter).exit_code == 1


def test_nothing_there(run, tmp_path: Path):
    (tmp_path / "other.yaml").write_text("a: 1\n")
    result = run("check", tmp_path)
    assert result.exit_code == 3
    assert "`costlens-policy init` writes a starter" in result.stderr


@pytest.mark.parametrize("name", ["nope.yaml", "policies/acess.yaml", "nope/nope"])
def test_missing_file(run, starter: Path, name):
    result = run("check", starter / name)
    assert result.exit_code == 6
    assert "error[CL001]: there is no file" in result.stdout


BAD = {
    "empty": (b"", "CL007"),
    "invalid UTF-8": (POLICY.encode() + b"x: \xff\n", "CL003"),
    "UTF-16": (POLICY.encode("utf-16"), "CL003"),
    "binary": (b"\x00\x01\x02" * 100, "CL004"),
    "deep YAML": (b"a: " + b"[" * 10_000, "CL020"),
    "deep blocks": ("\n".join(" " * depth + "a:" for depth in range(2_000)).encode(), "CL020"),
    "alias bomb": (
        b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 10)),
        "CL013",
    ),
    "a scalar": (b"hello\n", "CL10"),
    "a list": (b"- 1\n", "CL10"),
    "a tab": (b"a:\n\tb: 1\n", "CL006"),
    "only a comment": (b"# nothing\n", "CL007"),
    "wrong kind": (b"apiVersion: costlens-policy/v1\nkind: Polcy\nmetadata: {name: a, version: '1'}\n", "CL102"),
    "wrong apiVersion": (b"apiVersion: costlens-policy/v9\nkind: Policy\nmetadata: {name: a, version: '1'}\n", "CL101"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(run, tmp_path: Path, name):
    data, code = BAD[name]
    (tmp_path / "bad.yaml").write_bytes(data)
    result = run("check", tmp_path / "bad.yaml")
    assert result.exit_code == 1, result.output
    assert f"error[{code}" in result.stdout
    assert result.stderr.endswith("in 1 file\n")


@pytest.mark.parametrize("expression", ["(" * 10_000, "!" * 100_000 + "true", "'" + "\\" * 40, "1 +" * 50_000 + "1"])
def test_bad_expressions(run, starter: Path, expression):
    path = starter / "policies" / "routing.yaml"
    path.write_text(path.read_text().replace('request.tier == "pro"', "|\n      " + expression))
    result = run("check", starter)
    assert result.exit_code == 1, result.output
    assert "error[CL30" in result.stdout


def test_a_50_megabyte_file(process, tmp_path: Path):
    path = tmp_path / "big.yaml"
    with path.open("wb") as stream:
        stream.truncate(50 * 1024 * 1024)
    done = process("check", path)
    assert done.returncode == 1
    assert b"error[CL002]" in done.stdout


def test_a_big_policy_inside_a_set(process, starter: Path):
    path = starter / "policies" / "routing.yaml"
    with path.open("ab") as stream:
        stream.write(b"# " + b"x" * 50_000_000)
    done = process("check", starter)
    assert done.returncode == 1
    assert b"CL002" in done.stdout
    assert b"Traceback" not in done.stderr


def test_a_folder_that_cannot_be_read_is_named(run, starter: Path):
    (starter / "policies" / "loop.yaml").symlink_to("loop.yaml")
    result = run("check", starter / "policies" / "loop.yaml")
    assert result.exit_code == 6
    assert "loop.yaml" in result.stdout


def test_a_missing_policy_is_reported_where_the_set_names_it(run, starter: Path):
    (starter / "policies" / "privacy.yaml").unlink()
    result = run("check", starter)
    assert result.exit_code == 1
    assert "policy-set.yaml:" in result.stdout
    assert "CL203" in result.stdout
