"""What ``check`` does: examine paths, print what was found, say how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from costlens_policy.checker import check_all
from costlens_policy.checker.whole import Checked
from costlens_policy.cli.console import note, write_out
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.failures import exit_code_of
from costlens_policy.cli.nothing import NothingError
from costlens_policy.cli.report import render_report
from costlens_policy.diagnostics.model import Severity
from costlens_policy.diagnostics.render import summary
from costlens_policy.diagnostics.suggestion import listed

__all__ = ["check_paths"]

_OURS = "costlens-policy/"


def check_paths(paths: Sequence[Path], output: str, *, strict: bool) -> ExitCode:
    """Print the diagnostics of everything in some paths; the summary goes to standard error."""
    checked = check_all(paths)
    files = _examined(paths, checked)
    if not files and not checked.diagnostics:
        raise NothingError(f"no policy file in {listed(map(str, paths))}; `costlens-policy init` writes a starter")
    write_out(render_report(checked.diagnostics, output, sources=tuple(checked.sources.values())))
    note(summary(checked.diagnostics, len(files)))
    if strict and any(item.severity is Severity.WARNING for item in checked.diagnostics):
        return exit_code_of(checked.diagnostics) or ExitCode.INVALID
    return exit_code_of(checked.diagnostics)


def _examined(paths: Sequence[Path], checked: Checked) -> set[str]:
    """Return the files that were named, hold a document of this program, or have something wrong with them."""
    ours = {name for name, source in checked.sources.items() if _OURS in source.text}
    blamed = {item.span.file for item in checked.diagnostics if item.span is not None}
    return ours | blamed | {str(path) for path in paths if not path.is_dir()}
