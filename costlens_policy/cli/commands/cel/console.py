"""A small console: an expression a line, and a few commands that begin with a colon."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from costlens_policy.cli.commands.cel.answer import as_text, ask, literal, shortened
from costlens_policy.cli.commands.cel.surroundings import Surroundings
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.output import note, print_error, render_diagnostics, write_out

__all__ = ["Console"]

_PROMPT: Final = "cel> "
_NAME: Final = "<console>"
_REMEMBERED: Final = 1_000
_HELP: Final = """\
an expression    evaluate it
:type EXPR       show its type, without evaluating it
:vars            list the variables
:help            show this help
:quit            quit; Ctrl-D does the same
"""


class Console:
    """Reads lines until the input ends. ``read`` shows a prompt and returns a line, or raises EOFError."""

    def __init__(
        self, surroundings: Surroundings, *, types_only: bool = False, read: Callable[[str], str] | None = None
    ) -> None:
        self._surroundings = surroundings
        self._types_only = types_only
        self._read = read or _line_reader()
        self._commands: dict[str, Callable[[str], None]] = {
            ":type": lambda rest: self._answer(rest, evaluate=False),
            ":vars": lambda _: self._list_names(),
            ":help": lambda _: write_out(_HELP),
        }

    def run(self) -> ExitCode:
        """Answer lines until ``:quit`` or the end. Ctrl-C discards a line, not the console."""
        note("one CEL expression per line; `:help` lists the commands")
        while True:
            try:
                line = self._read(_PROMPT).strip()
            except EOFError:
                note("")
                return ExitCode.OK
            except KeyboardInterrupt:
                note("")
                continue
            if line == ":quit":
                return ExitCode.OK
            if line:
                self._do(line)

    def _do(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if not word.startswith(":"):
            self._answer(line, evaluate=not self._types_only)
        elif word in self._commands:
            self._commands[word](rest.strip())
        else:
            close = get_close_matches(word, [*self._commands, ":quit"], n=1)
            print_error(f"no such command `{word}`", f"did you mean `{close[0]}`?" if close else "`:help` lists them")

    def _answer(self, text: str, *, evaluate: bool) -> None:
        try:
            answer = ask(text, self._surroundings, _NAME, evaluate=evaluate)
        except KeyboardInterrupt:
            note("interrupted")
            return
        write_out(as_text(answer, parts=True))
        if answer.diagnostics:
            note(render_diagnostics(answer.diagnostics, sources=(answer.source,), stderr=True).rstrip())

    def _list_names(self) -> None:
        variables, values = self._surroundings.environment.variables, self._surroundings.values
        width = max(map(len, variables), default=0)
        for name, declared in variables.items():
            value = f"  = {shortened(literal(values[name]))}" if name in values else ""
            write_out(f"{name:{width}}  {declared}{value}")
        if not variables:
            note("no variables; `--vars FILE` and `--policy-set PATH` define some")


def _line_reader() -> Callable[[str], str]:
    """Return ``input`` with the keys of readline and, where the home folder can be written, its history."""
    with suppress(ImportError, OSError, RuntimeError):  # no readline, no place to write, no home
        import readline

        path = _history()
        with suppress(OSError):
            readline.read_history_file(path)
        readline.set_history_length(_REMEMBERED)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_at_exit(path)
    return input


def _history() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state, "costlens-policy", "cel_history")


def _write_at_exit(path: Path) -> None:
    import atexit
    import readline

    def write() -> None:
        with suppress(OSError):
            readline.write_history_file(path)

    atexit.register(write)
