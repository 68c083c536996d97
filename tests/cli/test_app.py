"""The program as a whole: help, usage errors, and what happens when something breaks."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import click
import pytest

from costlens_policy import __version__
from costlens_policy.cli import app as app_module
from costlens_policy.cli import main
from costlens_policy.cli.command import Command
from costlens_policy.cli.reference import commands
from tests.cli.conftest import PROGRAM, hear_ctrl_c

EVERY = dict(commands())


def test_version(run):
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout == f"costlens-policy {__version__}\n"


def test_main_returns_the_code():
    assert main(["--version"]) == 0
    assert main(["nope"]) == 2


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_lists_every_command(run, word):
    result = run(word)
    assert result.exit_code == 0
    for name in EVERY:
        assert name.split()[0] in result.stdout


@pytest.mark.parametrize("name", EVERY)
def test_help_of_every_command_has_examples_and_exit_codes(run, name):
    result = run(*name.split(), "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert f"costlens-policy {name}" in result.stdout
    assert "Exit codes:" in result.stdout
    assert "--debug" in result.stdout


@pytest.mark.parametrize("name", EVERY)
def test_every_option_is_explained(name):
    for parameter in EVERY[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts} has no help"
            assert parameter.is_flag or parameter.metavar


@pytest.mark.parametrize("name", EVERY)
def test_examples_parse(name):
    """The examples of each help are accepted by the command they are for."""
    command = EVERY[name]
    assert isinstance(command, Command)
    for _, line in command.examples:
        words = list(takewhile(lambda word: word not in {"<", ">", ">>"}, shlex.split(line)))
        assert words[: len(name.split())] == name.split(), line
        arguments = words[len(name.split()) :]
        with command.make_context(name, arguments, resilient_parsing=False):
            pass


def test_no_command_shows_help(run):
    result = run()
    assert result.exit_code == 2
    assert "Usage:" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message", "help"),
    [
        (["chekc"], "error: no such command `chekc`; did you mean `check`?", "costlens-policy --help"),
        (["zzz"], "error: no such command `zzz`\n", "costlens-policy --help"),
        (
            ["budget", "revok"],
            "error: no such command `revok`; did you mean `revoke`?",
            "costlens-policy budget --help",
        ),
        (["check", "--fromat", "json"], "error: no such option `--fromat`", "did you mean `--format`?"),
        (["check", "--format", "xml"], "error: invalid value for `--format`: `xml` is not one of `full`", "--help"),
        (["eval", "."], "error: name the request with `--request FILE`", "costlens-policy eval --help"),
        (
            ["eval", ".", "--request", "-", "--now", "noon"],
            "`noon` is not a timestamp; write it as 2026",
            "eval --help",
        ),
        (["eval", ".", "--request", "-", "--now", "2026-01-01T00:00:00"], "has no time zone; write 2026", "--help"),
        (["eval", ".", "--request", "-", "--balances", "-"], "cannot both read standard input", "--help"),
        (["fmt"], "error: missing argument `PATH...`", "fmt --help"),
        (
            ["explain", "CL999"],
            "error: no such code `CL999`; `explain` without a code lists them all",
            "explain --help",
        ),
        (["explain", "CL00"], "error: no such code `CL00`; did you mean `CL0", "explain --help"),
        (["schema", "polcy"], "error: no schema `polcy`; did you mean `policy`?", "schema --help"),
        (["completion", "tcsh"], "`tcsh` is not one of `bash`, `zsh`, `fish`", "completion --help"),
        (["test", ".", "--min-coverage", "101"], "error: invalid value for `--min-coverage`", "test --help"),
    ],
)
def test_usage_errors_say_what_to_do(run, arguments, message, help):
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert help in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


@pytest.fixture
def broken(monkeypatch):
    """Make a command fail in a way that nobody foresaw."""

    def fail(error: BaseException) -> None:
        def invoke(*_: object) -> None:
            raise error

        monkeypatch.setattr(app_module, "_invoke", invoke)

    return fail


def test_an_unexpected_error_is_one_line(run, broken):
    broken(ValueError("first line\nsecond"))
    result = run("check")
    assert result.exit_code == 6
    assert result.stderr == (
        "internal error: ValueError: first line second (run again with --debug to see where, and please report it)\n"
    )


def test_debug_shows_the_traceback(run, broken, monkeypatch):
    broken(ValueError("x"))
    monkeypatch.setenv("COSTLENS_DEBUG", "1")
    result = run("check")
    assert result.exit_code == 6
    assert "Traceback (most recent call last)" in result.stderr


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_option_before_or_after_the_command(run, monkeypatch, place):
    def fail(*_: object, **__: object) -> str:
        raise ValueError("x")

    monkeypatch.setattr("costlens_policy.cli.commands.explain._code_list", fail)
    result = run("--debug", "explain") if place == "before" else run("explain", "--debug")
    assert result.exit_code == 6
    assert "Traceback" in result.stderr


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (RecursionError("deep"), 6, "internal error: RecursionError"),
        (MemoryError(), 6, "error: not enough memory for this input"),
        (PermissionError(13, "Permission denied", "a.yaml"), 6, "error: `a.yaml`: permission denied"),
        (BrokenPipeError(), 6, ""),
    ],
)
def test_failures_have_their_codes(run, broken, monkeypatch, error, code, message):
    monkeypatch.setattr(app_module, "_forget_output", lambda: None)  # it would close this process's output
    broken(error)
    result = run("check")
    assert result.exit_code == code
    assert message in result.stderr


def test_a_reader_that_goes_away_is_no_drama(tmp_path: Path):
    """The reader closes the pipe while there is more to write."""
    line = " ".join([f"'{sys.executable}'", "-m", "costlens_policy", "schema", "policy"])
    done = subprocess.run(
        ["bash", "-c", f"{line} | head -c 10; echo code ${{PIPESTATUS[0]}}"],
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == b""
    assert done.stdout.split(b"code ")[1].strip() in (b"0", b"6")  # 0 where the pipe took it all before it closed


def test_closed_output_is_an_error(process):
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m costlens_policy explain >&-"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 6
    assert done.stderr == b"error: standard output is closed\n"


def test_closed_input_is_an_error(starter):
    command = f"'{sys.executable}' -m costlens_policy fmt - <&-"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60, check=False)
    assert done.returncode == 6
    assert b"error: standard input is closed" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_an_error(process):
    with open("/dev/full", "wb") as full:
        done = process("explain", stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 6
    assert b"no space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_ctrl_c_ends_with_130():
    code = (
        "import sys, costlens_policy.cli.commands.explain as pages, time\n"
        "pages._code_list = lambda _: (print('ready', file=sys.stderr, flush=True), time.sleep(60))\n"
        "from costlens_policy.cli import main\n"
        "sys.exit(main(['explain']))\n"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=hear_ctrl_c
    )
    assert running.stderr is not None
    assert running.stderr.readline() == b"ready\n"
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert errors == b"interrupted\n"


def test_characters_that_the_terminal_cannot_show_do_no_harm(process):
    done = process("explain", "n\N{LATIN SMALL LETTER O WITH DIAERESIS}\udce9", env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: no such code `n")


def test_colors_only_where_they_are_seen(process):
    assert b"\x1b[" not in process("nope").stderr
    assert b"\x1b[" in process("nope", env={"FORCE_COLOR": "1"}).stderr
    assert b"\x1b[" not in process("nope", env={"FORCE_COLOR": "1", "NO_COLOR": "1"}).stderr
    assert b"\x1b[" not in process("nope", env={"FORCE_COLOR": "0"}).stderr


def test_colors_on_a_terminal():
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    running = subprocess.Popen([*PROGRAM, "nope"], stdin=slave, stdout=slave, stderr=slave, env=env | {"TERM": "xterm"})
    os.close(slave)
    assert running.wait(60) == 2
    assert b"\x1b[" in os.read(master, 4096)
    os.close(master)


_HEAVY = (
    "pydantic", "yaml", "celpy", "lark", "jsonschema", "rich", "genai_prices", "polars", "asyncio", "email",
    "importlib.metadata", "costlens_policy.engine.decide", "costlens_policy.checker.whole",
)  # fmt: skip


@pytest.mark.parametrize(
    ("line", "more"),
    [
        ("--version", ("json", "costlens_policy.diagnostics", "costlens_policy.cli.commands")),
        ("--help", ("costlens_policy.replay", "difflib")),
        ("check --help", ("costlens_policy.replay",)),
        ("eval --help", ("costlens_policy.replay", "costlens_policy.diagnostics.render")),
        ("test --help", ("costlens_policy.replay", "costlens_policy.diagnostics.render")),
        ("replay --help", ()),
        ("report --help", ()),
    ],
)
def test_help_does_not_import_what_commands_need(line: str, more: tuple[str, ...]):
    code = (
        f"import sys; from costlens_policy.cli import main; assert main({line.split()}) == 0;"
        f"loaded = set({(*_HEAVY, *more)}) & set(sys.modules); assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
