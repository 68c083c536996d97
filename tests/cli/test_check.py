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
    assert result.stderr == "no problems in 9 files\n"


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
    assert result.stderr.startswith("1 error in 9 files\n")


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


@pytest.mark.parametrize("name", ["loop.yaml", "loop_test.yaml"])
def test_a_link_to_itself_in_a_folder_is_told(run, starter: Path, name: str):
    (starter / "policies" / name).symlink_to(name)
    result = run("check", starter)
    assert result.exit_code == 6
    assert "a link points back to itself" in result.stdout


def test_a_missing_policy_is_reported_where_the_set_names_it(run, starter: Path):
    (starter / "policies" / "privacy.yaml").unlink()
    result = run("check", starter)
    assert result.exit_code == 1
    assert "policy-set.yaml:" in result.stdout
    assert "CL203" in result.stdout


SUITE = """\
apiVersion: costlens-policy/v1
kind: Suite
metadata: {name: wrong, version: "1"}
policy_set: policy-set.yaml
now: 2026-11-02T09:00:00Z
"""
WRONG_SUITES = {
    "fixture": "cases: [{name: a, fixtures: [none], expect: {effect: allow}}]",
    "rule": "cases: [{name: a, targets: [access/none], expect: {effect: allow}}]",
    "model": "cases: [{name: a, expect: {model: none}}]",
    "fallback": "cases: [{name: a, expect: {fallback_calls: [{model: none}]}}]",
    "rewrite of a fallback": "cases: [{name: a, expect: {fallback_calls: [{model: gpt-5, rewrites: [none]}]}}]",
    "budget": "cases: [{name: a, balances: [{budget: none, used: 1}], expect: {effect: allow}}]",
    "attribute": "cases: [{name: a, request: {teem: b}, expect: {effect: allow}}]",
    "policy": "covers: [none]\ncases: [{name: a, expect: {effect: allow}}]",
    "pattern": "cases: [{name: a, expect: {prompt: {matches: '('}}}]",
    "error": "cases: [{name: a, expect: {errors: [CL999]}}]",
    "names": "cases: [{name: a, expect: {effect: allow}}, {name: a, expect: {effect: deny}}]",
    "no cases": "",
    "axis": "matrix: [{name: '${x}', axes: {y: [1]}, expect: {effect: allow}}]",
    "key": "cases: [{name: a, expekt: {effect: allow}}]",
    "unused fixture": "fixtures: {f: {team: a}}\ncases: [{name: a, request: {prompt: x}, expect: {effect: allow}}]",
}


@pytest.mark.parametrize("name", WRONG_SUITES)
def test_suites_are_examined_as_test_does(run, starter: Path, monkeypatch, name):
    """The same findings at the same places, and an exit code that refuses them."""
    monkeypatch.chdir(starter)
    Path("wrong_test.yaml").write_text(SUITE + WRONG_SUITES[name])
    checked = run("check", "--strict", ".", "--format", "json")
    tested = run("test", ".", "--format", "json")
    assert checked.exit_code == 1
    found = json.loads(checked.stdout)
    assert found
    assert found == json.loads(tested.stdout)["diagnostics"]
    alone = json.loads(run("check", "--strict", "wrong_test.yaml", "--format", "json").stdout)
    assert alone == found


FORMATS = ("full", "concise", "json", "sarif", "github")


@pytest.mark.parametrize("strict", [[], ["--strict"]])
@pytest.mark.parametrize("trouble", ["none", "warning", "error", "unreadable", "nothing", "no place"])
def test_every_format_says_the_same(run, starter: Path, monkeypatch, trouble, strict):
    monkeypatch.chdir(starter)
    policy = Path("policies/routing.yaml")
    paths = ["."]
    if trouble == "warning":
        policy.write_text(policy.read_text().replace("variables:\n", "variables:\n  unused: request.tier\n"))
    elif trouble == "error":
        policy.write_text(policy.read_text().replace("request.tier", "request.teir"))
    elif trouble == "unreadable":
        paths = ["nowhere.yaml"]
    elif trouble == "no place":
        Path("old.yaml.bak").write_text(policy.read_text())
    elif trouble == "nothing":
        Path("empty").mkdir()
        paths = ["empty"]
    results = {name: run("check", *strict, *paths, "--format", name) for name in FORMATS}
    assert len({result.exit_code for result in results.values()}) == 1
    code = {"warning": "CL213", "error": "CL302", "unreadable": "CL001", "no place": "CL219"}.get(trouble)
    for name, result in results.items():
        if code is not None:
            assert code in result.stdout, name
    if trouble == "nothing":
        assert results["json"].exit_code == 3
        assert [item["code"] for item in json.loads(results["json"].stdout)] == ["CL201"]


@pytest.mark.parametrize("trouble", ["none", "failing", "error", "unreadable", "nothing", "coverage"])
def test_the_exit_code_in_json_is_that_of_the_process(run, starter: Path, monkeypatch, trouble):
    monkeypatch.chdir(starter)
    suite = Path("policies/routing_test.yaml")
    arguments = ["."]
    if trouble == "failing":
        suite.write_text(suite.read_text().replace("model: house-summarizer", "model: gpt-5"))
    elif trouble == "error":
        suite.write_text(suite.read_text().replace("model: house-summarizer", "model: gpt-55"))
    elif trouble == "unreadable":
        arguments = ["nowhere_test.yaml"]
    elif trouble == "nothing":
        arguments = [".", "--filter", "nothing is called so"]
    elif trouble == "coverage":
        arguments = [".", "--min-coverage", "100", "--filter", "paying customers"]
    result = run("test", *arguments, "--format", "json")
    expected = {"none": 0, "failing": 4, "error": 1, "unreadable": 6, "nothing": 3, "coverage": 5}[trouble]
    assert result.exit_code == json.loads(result.stdout)["exit_code"] == expected


def _searched(tmp_path: Path) -> Path:
    (tmp_path / "a.yaml").write_text(
        POLICY + "on_error: skip\nroutes:\n"
        '  - {id: europe, when: \'request.?region.orValue("").matches("^eu-[a-z]+$")\', model: gpt-5-mini}\n'
    )
    (tmp_path / "set.yaml").write_text(
        'apiVersion: costlens-policy/v1\nkind: PolicySet\nmetadata: {name: s, version: "1"}\npolicies: [a.yaml]\n'
        "catalogues: [models.yaml]\n"
        "defaults: {access: allow, route: {model: gpt-5-nano}, max_output_tokens: 1000}\n"
    )
    (tmp_path / "models.yaml").write_text(
        'apiVersion: costlens-policy/v1\nkind: Catalogue\nmetadata: {name: m, version: "1"}\n'
        "imports:\n  - {source: genai-prices, models: ['openai/gpt-5*']}\n"
    )
    return tmp_path


def test_what_is_searched_is_counted_and_shown_when_asked_for(run, tmp_path: Path):
    folder = _searched(tmp_path)
    result = run("check", folder)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "1 condition was searched, not decided; `--verbose` shows them\n" in result.stderr
    shown = json.loads(run("check", folder, "--verbose", "--format", "json").stdout)
    assert [item["code"] for item in shown] == ["CL490"]


def test_the_limit_of_time_is_reported(run, tmp_path: Path):
    result = run("check", _searched(tmp_path), "--limit", "0.000001")
    assert result.exit_code == 0
    assert "ended at its limit of 1e-06 seconds: 0 of " in result.stdout
    assert run("check", tmp_path, "--limit", "0").exit_code == 2


def test_a_set_with_errors_is_not_examined_further(run, wrong: Path):
    assert "a policy set has errors: what its rules do to requests is examined once" in run("check", wrong).stderr


_FIXABLE = (
    POLICY
    + """\
on_error: skip
# who may call
access:
  # the first
  - {id: outsiders, when: '!has(request.team)', effect: deny, reason: name a team}
routes:
  - id: short
    when: request.?prompt_tokens.orValue(0) < 4000 # cheap
    model: gpt-5-nano
  # long prompts
  - id: long
    when: request.?prompt_tokens.orValue(0) >= 4000
    model: gpt-5-mini

  # nobody comes here
  - id: typical
    when: has(request.prompt_tokens) && request.prompt_tokens > 2000 && request.prompt_tokens < 8000
    model: gpt-5
rewrites:
  - id: brief   # keep
    when: has(request.team) && (request.?prompt_tokens.orValue(0) >= 0)
    apply: [{prefix: {text: "Be brief. "}}]
"""
)


def test_what_changes_no_decision_is_removed(run, tmp_path: Path):
    folder = _searched(tmp_path)
    policy = folder / "a.yaml"
    policy.write_text(_FIXABLE)
    before = run("check", folder)
    assert "CL432" in before.stdout
    assert "CL434" in before.stdout
    shown = run("check", folder, "--diff")
    assert "-  - id: typical\n" in shown.stdout
    assert shown.stderr == "2 problems would be fixed\n"
    assert policy.read_text() == _FIXABLE
    fixed = run("check", folder, "--fix")
    assert "2 problems were fixed" in fixed.stderr
    assert "CL432" not in fixed.stdout
    assert "CL434" not in fixed.stdout
    text = policy.read_text()
    assert "id: typical" not in text
    assert "    when: has(request.team)\n" in text
    assert [line for line in _FIXABLE.splitlines() if "#" in line and line not in text] == []
    assert run("check", folder, "--fix").stderr.startswith("no problems")


def test_what_fixes_leave_fails_beside_their_diff(run, tmp_path: Path):
    folder = _searched(tmp_path)
    policy = folder / "a.yaml"
    policy.write_text(_FIXABLE.replace("has(request.team) &&", "has(request.taem) &&"))
    shown = run("check", folder, "--diff")
    assert shown.exit_code == 1
    assert "CL302" in shown.stderr
    policy.write_text(_FIXABLE.replace("model: gpt-5\n", "model: gpt-5\n    fallbacks: [gpt-5]\n"))
    assert run("check", folder, "--diff").exit_code == 0
    assert run("check", folder, "--diff", "--strict").exit_code == 1


def test_promises_are_checked_as_well(run, tmp_path: Path):
    folder = _searched(tmp_path)
    head = 'apiVersion: costlens-policy/v1\nkind: Invariants\nmetadata: {name: p, version: "1"}\n'
    promise = "  - {id: a, title: t, rewritten_by: [a/nothing]}\n"
    (folder / "promises.yaml").write_text(f"{head}policy_set: set.yaml\ninvariants:\n{promise}")
    result = run("check", folder)
    assert result.exit_code == 1
    assert "CL701" in result.stdout
    assert "promises.yaml:6" in result.stdout


def test_witnesses_become_cases_that_pass(run, tmp_path: Path):
    folder = _searched(tmp_path)
    (folder / "a.yaml").write_text(
        POLICY + "on_error: deny\naccess:\n"
        '  - {id: trial, when: \'request.?team.orValue("core") != "core"\', effect: deny, reason: no}\n'
    )
    suite = folder / "found_test.yaml"
    result = run("check", folder, "--save-case", suite)
    assert "wrote 2 cases to " in result.stderr
    written = suite.read_bytes()
    again = run("check", folder, "--save-case", suite)
    assert "exists and is not written over" in again.stderr, "people edit it"
    assert (again.exit_code, suite.read_bytes()) == (6, written)
    tested = run("test", folder)
    assert tested.exit_code == 0, tested.stdout
    assert "2 passed" in tested.stdout + tested.stderr
    (folder / "a.yaml").write_text(POLICY)
    (folder / "second_test.yaml").unlink(missing_ok=True)
    assert "is not written" in run("check", folder, "--save-case", folder / "second_test.yaml").stderr
