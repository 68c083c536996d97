"""``cel`` through the program: values, types, problems with their places, lines and the console."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.cli.commands.cel.answer import ask, literal
from costlens_policy.cli.commands.cel.console import Console
from costlens_policy.cli.commands.cel.surroundings import Surroundings, of_values, type_by_shape
from costlens_policy.expressions import Environment, parse_type
from costlens_policy.expressions.runtime import CelError, equals
from tests.cli.conftest import PROGRAM
from tests.conftest import ROOT
from tests.expressions.strategies import bindings
from tests.soak import examples

VARIABLES = """
request: {team: research, tags: [a, b], cost: 0.5, empty: {}}
limit: 3
at: 2026-11-02T09:00:00Z
"""


@pytest.fixture
def variables(tmp_path: Path) -> Path:
    path = tmp_path / "variables.yaml"
    path.write_text(VARIABLES)
    return path


def test_a_value_and_what_led_to_it(run, variables: Path):
    result = run("cel", 'request.team == "growth" || size(request.tags) < limit || 1 / 0 > 1', "--vars", variables)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    first, *parts = result.stdout.splitlines()
    assert first == "true"
    shown = {text.strip(): value for text, value in (line.rsplit("  = ", 1) for line in parts)}
    assert shown['request.team == "growth"'] == "false"
    assert shown["request.team"] == '"research"'
    assert shown["size(request.tags)"] == "2"
    assert shown["1 / 0"] == "(not evaluated)"
    assert '"growth"' not in shown
    assert "limit" not in shown


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 1", "2"),
        ('"a" + "\\n"', '"a\\n"'),
        ("[1u, 1.0, null]", "[1u, 1.0, null]"),
        ('{"a": b"\\xff"}', '{"a": b"\\xff"}'),
        ('timestamp("2026-11-02T09:00:00Z") - duration("90m")', 'timestamp("2026-11-02T07:30:00Z")'),
        ("type(1u)", "uint"),
        ("[1].first()", "optional.of(1)"),
        ('"%s".format(["x"]) + "\\u001b[31m"', '"x\\u001b[31m"'),
        ("0.0 / 0.0", 'double("nan")'),
    ],
)
def test_values_are_written_as_expressions(run, expression: str, value: str):
    result = run("cel", expression)
    assert result.stdout.splitlines()[0] == value
    assert run("cel", value).stdout.splitlines()[0] == value


def test_a_problem_is_shown_at_its_place(run):
    result = run("cel", '1 + "a"')
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "error[CL304]" in result.stderr
    assert "--> <expression>:1:3" in result.stderr
    assert '1 | 1 + "a"' in result.stderr


def test_an_error_when_evaluated_is_shown_at_its_place(run, variables: Path):
    result = run("cel", "limit > 1 && request.nope == 1", "--vars", variables)
    assert result.exit_code == 1
    assert "error[CL902]: there is no `nope`" in result.stderr
    assert "--> <expression>:1:14" in result.stderr
    assert result.stdout.splitlines()[0].strip().startswith("limit > 1 ")


def test_the_limits_hold(run):
    assert "error[CL305]" in run("cel", "(" * 10_000 + "1" + ")" * 10_000).stderr
    assert "error[CL319]" in run("cel", "lists.range(100000000).size()").stderr
    visits = "lists.range(90000).all(x, x >= 0) && lists.range(90000).all(x, x >= 0)"
    assert "error[CL914]" in run("cel", visits).stderr


def test_a_type(run, variables: Path):
    result = run("cel", "--type", "request.tags.size() > limit", "--vars", variables)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:2] == ["bool", "  reads limit, request"]
    assert "steps at worst" in result.stdout
    assert run("cel", "--type", "1 / 0").exit_code == 0


def test_types_by_shape():
    shapes = {
        "map(string, dyn)": {"a": 1, "b": "x"},
        "map(string, int)": {"a": 1},
        "list(int)": [1, 2],
        "list(dyn)": [1, "x"],
        "list(list(dyn))": [[1], ["x"]],
        "map(dyn, dyn)": {},
        "dyn": None,
        "double": 1.5,
    }
    for declared, value in shapes.items():
        assert str(type_by_shape(value)) == declared


def test_json(run, variables: Path):
    result = run("cel", "request.team == 'x' || at > timestamp(0)", "--vars", variables, "--format", "json")
    answer = json.loads(result.stdout)
    assert answer["type"] == "bool"
    assert answer["value"] is True
    assert answer["problems"] == []
    assert answer["reads"] == [["at"], ["request"]]
    parts = {part["source"]: part for part in answer["parts"]}
    assert parts["request.team"]["value"] == "research"
    assert parts["at"]["value"] == "2026-11-02T09:00:00Z"
    assert parts["request.team == 'x'"] == {
        "start": 0, "end": 19, "source": "request.team == 'x'", "evaluated": True, "value": False,
    }  # fmt: skip


def test_json_of_problems(run):
    result = run("cel", "tru", "--format", "json")
    assert result.exit_code == 1
    assert result.stderr == ""
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["code"] == "CL302"
    assert problem["span"]["start"] == {"offset": 0, "line": 1, "column": 1}
    assert json.loads(run("cel", "[1][2]", "--format", "json").stdout)["problems"][0]["code"] == "CL903"


def test_standard_input_as_one_expression(run):
    result = run("cel", "-", input="1 +\n  2 + x\n")
    assert result.exit_code == 1
    assert "--> <stdin>:2:7" in result.stderr
    assert run("cel", "-", input="1 +\n  2\n").stdout.splitlines()[0] == "3"


def test_standard_input_line_by_line(run):
    result = run("cel", input="1 + 1\n\n'a' + 1\n[1, 2].map(x, x * 2)\n")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == ["2", "[2, 4]"]
    assert "--> <stdin>, line 3:1:5" in result.stderr
    lines = run("cel", "--format", "json", input="1\n2 +\n3\n").stdout.splitlines()
    assert [json.loads(line).get("value") for line in lines] == [1, None, 3]
    assert run("cel", "--type", input="1\n'a'\n").stdout.splitlines() == ["int", "string"]


def test_lines_that_are_no_text(run):
    result = run("cel", input=b"1\n\xff\xfe\n2\n")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == ["1", "2"]
    assert "error[CL301]" in result.stderr


def test_nothing_to_do(run):
    assert run("cel", input="\n\n").exit_code == 3
    result = run("cel", "--vars", "-", input="a: 1\n")
    assert result.exit_code == 2
    assert "cannot both be read from standard input" in result.stderr


@pytest.mark.parametrize(
    ("text", "message", "exit_code"),
    [
        ("[1, 2]", "variables must be an object of names and values", 2),
        ("a-b: 1", "`a-b` cannot be a name in an expression", 2),
        ("a: 99999999999999999999", "does not fit in 64 bits", 2),
        ("a: [", "CL005", 2),
    ],
)
def test_variables_that_cannot_be(run, tmp_path: Path, text: str, message: str, exit_code: int):
    path = tmp_path / "variables.yaml"
    path.write_text(text + "\n")
    result = run("cel", "true", "--vars", path)
    assert result.exit_code == exit_code
    assert message in result.stderr
    assert "variables.yaml:1" in result.stderr


def test_missing_files(run, tmp_path: Path):
    assert run("cel", "true", "--vars", tmp_path / "nope.yaml").exit_code == 6
    assert run("cel", "true", "--policy-set", tmp_path / "nope").exit_code == 6


GIVEN = """
request: {task: classification, prompt: hello}
model: gpt-5-nano
estimate: {cost_usd: 1, prompt_tokens: 10, output_tokens: 20}
budgets: {team: {used: 1, held: 0, limit: 10, left: 9, used_ratio: 0.1, carried: 0}}
variables: {is_long: true}
now: 2026-12-31T23:59:59Z
"""


def test_what_a_policy_set_declares(run, starter: Path, tmp_path: Path):
    given = tmp_path / "given.yaml"
    given.write_text(GIVEN)

    def value(expression: str) -> str:
        result = run("cel", expression, "--policy-set", starter, "--vars", given)
        assert result.exit_code == 0, result.stderr
        return result.stdout.splitlines()[0]

    assert value("request.?task") == 'optional.of("classification")'
    assert value("model.name") == '"gpt-5-nano"'
    assert value("model.input_usd_per_million_tokens > 0.0") == "true"
    assert value("estimate.?cost_usd.orValue(0.0) + 0.5") == "1.5"
    assert value('budgets["team"].left') == "9.0"
    assert value("variables.is_long && now.getHours() == 23") == "true"


def test_a_policy_set_types_expressions(run, starter: Path):
    result = run("cel", "--type", "request.prompt_tokens + 1", "--policy-set", starter)
    assert result.stdout.splitlines()[0] == "int"
    assert "warning[CL314]" in result.stderr
    assert result.exit_code == 0
    unknown = run("cel", "--type", 'request.tsk == "x"', "--policy-set", starter)
    assert unknown.exit_code == 1
    assert "did you mean `task`?" in unknown.stderr


def test_a_name_without_a_value(run, starter: Path):
    result = run("cel", "model.external", "--policy-set", starter)
    assert result.exit_code == 1
    assert "error[CL913]: `model` has no value" in result.stderr
    assert "--vars" in result.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("request: {tsk: x}", "did you mean `task`?"),
        ("request: {prompt_tokens: many}", "`prompt_tokens` must be an integer"),
        ("request: 7", "`request` must be an object"),
        ("model: gpt-5-nan", "did you mean `gpt-5-nano`?"),
        ("modle: gpt-5-nano", "unknown name `modle`"),
        ("estimate: {cost: 1}", "`estimate` has no field `cost`"),
    ],
)
def test_values_that_a_policy_set_refuses(run, starter: Path, tmp_path: Path, text: str, message: str):
    given = tmp_path / "given.yaml"
    given.write_text(text + "\n")
    result = run("cel", "true", "--policy-set", starter, "--vars", given)
    assert result.exit_code == 2
    assert message in result.stderr


TABLES = ROOT / "examples" / "team-tables"


def test_tables_of_a_policy_set(run):
    lines = run("cel", "--type", "data.teams", "--policy-set", TABLES).stdout.splitlines()
    assert lines[0] == "map(string, map(string, dyn))"
    assert [line.split() for line in lines[1:4]] == [
        ["models", "list(string)"], ["monthly_usd", "double"], ["tier", "string"],
    ]  # fmt: skip
    assert lines[4:] == ["  reads data.teams", "  takes 2 steps at worst"]
    assert run("cel", "data.teams.research.monthly_usd", "--policy-set", TABLES).stdout == "500.0\n"
    assert "did you mean `research`?" in run("cel", "data.teams.reserch", "--policy-set", TABLES).stderr


def test_variables_and_the_asked_model_of_a_policy_set(run, tmp_path: Path):
    given = tmp_path / "given.yaml"
    given.write_text("request: {team: support, model: openai/gpt-5-mini-2025-08-07}\nnow: 2026-12-24T00:00:00Z\n")
    for expression, value in (
        ("variables.tier", '"silver"'), ("variables.is_frozen", "true"), ("request.asked_model.name", '"gpt-5-mini"'),
    ):  # fmt: skip
        result = run("cel", expression, "--policy-set", TABLES, "--vars", given)
        assert result.stdout.splitlines()[0] == value
    given.write_text("data: {teams: {}}\n")
    assert "data documents" in run("cel", "true", "--policy-set", TABLES, "--vars", given).stderr


def test_limits_of_a_policy_set_hold(run, starter: Path):
    path = starter / "policy-set.yaml"
    path.write_text(path.read_text() + "\nlimits: {expression_length: 60, iterations: 3, cost: 300}\n")
    assert "error[CL319]" in run("cel", "lists.range(400).size()", "--policy-set", starter).stderr
    assert "error[CL914]" in run("cel", "[1, 2, 3, 4].all(x, x > 0)", "--policy-set", starter).stderr


class Typing:
    """Stands in for a keyboard: each line in turn, then the end."""

    def __init__(self, *lines: str | type[BaseException]) -> None:
        self._lines: Iterator[str | type[BaseException]] = iter(lines)

    def __call__(self, prompt: str) -> str:
        assert prompt == "cel> "
        line = next(self._lines, EOFError)
        if isinstance(line, str):
            return line
        raise line


def typed(capsys: pytest.CaptureFixture[str], *lines: str | type[BaseException], types_only: bool = False):
    around = Surroundings(Environment({"n": parse_type("int"), "s": parse_type("string")}), {"n": 7})
    assert Console(around, types_only=types_only, read=Typing(*lines)).run() == 0
    return capsys.readouterr()


def test_console_answers_lines(capsys):
    said = typed(capsys, "n + 1", "", "n +", ":type s.size()", ":vars", "s")
    assert said.out.splitlines() == ["8", "int", "  reads s", "  takes 2 steps at worst", "n  int  = 7", "s  string"]
    assert "error[CL301]" in said.err
    assert "error[CL913]: `s` has no value" in said.err
    assert "<console>:1:1" in said.err


def test_console_commands(capsys):
    said = typed(capsys, ":help", ":tpye 1", ":nonsense", ":quit", "1 + 1")
    assert ":type EXPR" in said.out
    assert "2\n" not in said.out
    assert "did you mean `:type`?" in said.err
    assert "`:help` lists them" in said.err


def test_console_survives_ctrl_c(capsys):
    said = typed(capsys, KeyboardInterrupt, "n")
    assert said.out == "7\n"


def test_console_of_types(capsys):
    assert typed(capsys, "1.5", types_only=True).out.splitlines()[0] == "double"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals on Windows")
def test_console_on_a_terminal(tmp_path: Path):
    import pty

    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path), "TERM": "dumb", "NO_COLOR": "1"}
    process, terminal = pty.fork()
    if process == 0:
        os.execvpe(PROGRAM[0], [*PROGRAM, "cel"], environment)
    os.write(terminal, b"6 * 7\n:quit\n")
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # Linux says so when the other end is closed
            break
        if not piece:
            break
        shown += piece
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    assert b"42" in shown
    assert b"Traceback" not in shown
    history = tmp_path / "costlens-policy" / "cel_history"
    assert not history.exists() or "6 * 7" in history.read_text()


@settings(max_examples=examples(40), deadline=None)
@given(st.data())
def test_literals_give_their_values(data: st.DataObject) -> None:
    for value in data.draw(bindings()).values():
        answer = ask(literal(value), of_values({}), "<test>", evaluate=True)
        assert answer.trace is not None, answer.diagnostics
        assert not isinstance(answer.trace.value, CelError)
        found = answer.trace.value
        assert equals(found, value) or literal(found) == literal(value)


def test_json_of_a_map_shows_every_entry(run):
    result = run("cel", '{1: "a", "1": "b", true: "c", "true": "d", "int(1)": "e", 2u: "f"}', "--format", "json")
    shown = json.loads(result.stdout)["value"]
    assert shown == {"int(int(1))": "a", "1": "b", "bool(true)": "c", "true": "d", "int(1)": "e", "2": "f"}
