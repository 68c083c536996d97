"""``check``: examine policies and report every problem."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode, NothingError, exit_code_of
from costlens_policy.cli.formats import format_option
from costlens_policy.cli.options import Number, documents_argument
from costlens_policy.cli.output import difference, note, render_diagnostics, write_file, write_new_suite, write_out
from costlens_policy.clock import system_now
from costlens_policy.diagnostics.model import Diagnostic, Edit, Severity, in_order
from costlens_policy.diagnostics.render import FORMATS
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.diagnostics.text import summary
from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from costlens_policy.catalogue import Model
    from costlens_policy.checker import CheckedBundle
    from costlens_policy.checker.whole import Checked
    from costlens_policy.source.located import SourceText

__all__ = ["command"]

_START: Final = "`costlens-policy init` writes a starter"


@click.command(
    "check",
    cls=Command,
    short_help="Check policies and report every problem at its line and column.",
    examples=[
        ("check everything in this directory", "check ."),
        ("treat warnings as errors", "check --strict policies"),
        ("annotate the lines of a pull request", "check . --format github"),
        ("show what can be removed without changing a decision", "check --diff policies"),
        ("write the requests that show findings as a suite", "check . --save-case found_test.yaml"),
        ("does every model of a LiteLLM proxy have a price", "check --litellm config.yaml"),
        ("write a log for code scanning", "check . --format sarif > policies.sarif"),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING],
)
@documents_argument
@format_option(*FORMATS)
@click.option("--strict", is_flag=True, help="Treat warnings as errors.")
@click.option("--verbose", "-v", is_flag=True, help="Also note conditions that are searched, not decided.")
@click.option(
    "--limit",
    type=Number(min=0, min_open=True),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="End the examination of a policy set after this time.",
)
@click.option("--fix", is_flag=True, help="Remove what no request can tell from its absence, keeping comments.")
@click.option("--diff", is_flag=True, help="Write nothing; print what `--fix` would change.")
@click.option(
    "--litellm",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Check the configuration of a LiteLLM proxy instead: whether every model that it can reach has a price.",
)
@click.option(
    "--save-case",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a new suite with the requests that show findings, and what is decided on them today.",
)
def command(
    paths: tuple[Path, ...],
    output: str,
    strict: bool,
    verbose: bool,
    limit: float,
    fix: bool,
    diff: bool,
    litellm: Path | None,
    save_case: Path | None,
) -> ExitCode:
    """Check every policy set, policy, catalogue and suite in PATH, files or directories.

    PATH defaults to the current directory. A policy or catalogue is checked with every set of its repository that lists
    it, a suite against the set that it tests, as `test` does before it runs. Documents of this program that no set
    lists, or that cannot be read, are reported.

    Every problem is reported at once, with its place and a code that `explain` describes. What rules do to requests is
    shown by a request that was decided.

    `--litellm` takes prices from the catalogues of PATH, or else from the installed price list.
    """
    if litellm is not None:
        return _check_proxy(litellm, paths, output, strict)
    examined = _examine(paths, limit)
    if fix or diff:
        fixed = _fixed(examined)
        if diff:
            return _show(fixed, examined, strict)
        if fixed:
            _write(fixed)
            examined = _examine(paths, limit)
    if not examined.files and not examined.diagnostics:
        return _nothing(paths, output)
    diagnostics = tuple(item for item in examined.diagnostics if verbose or item not in examined.searched)
    write_out(render_diagnostics(diagnostics, output, sources=tuple(examined.sources.values())))
    note(summary(diagnostics, len({os.path.realpath(name) for name in examined.files})))
    _note_what_was_left(examined.checked.broken, len(examined.searched), verbose)
    if save_case is not None:
        _save(examined, save_case)
    if strict and any(item.severity is Severity.WARNING and not item.suppressed for item in diagnostics):
        return exit_code_of(diagnostics) or ExitCode.INVALID
    return exit_code_of(diagnostics)


def _check_proxy(file: Path, paths: tuple[Path, ...], output: str, strict: bool) -> ExitCode:
    """Check a LiteLLM configuration for models without a price."""
    from costlens_policy.catalogue.litellm_proxy import examine_proxy
    from costlens_policy.source.compose import compose
    from costlens_policy.source.read import read_source

    source = read_source(file)
    composed = compose(source)
    found = composed.diagnostics
    if not any(item.is_error for item in found):
        find = _priced_models(paths)
        documents = composed.documents[:1]
        found = (*found, *(item for each in documents for item in examine_proxy(each, find, system_now().date())))
    write_out(render_diagnostics(found, output, sources=(source,)))
    note(summary(found, 1))
    if strict and any(item.severity is Severity.WARNING for item in found):
        return exit_code_of(found) or ExitCode.INVALID
    return exit_code_of(found)


def _priced_models(paths: tuple[Path, ...]) -> Callable[[str], Model | None]:
    """Return what finds models: in the catalogues of the paths that were named, else in the installed price list."""
    from click.core import ParameterSource

    from costlens_policy.catalogue.price_list import listed_model, meant_by
    from costlens_policy.cli.sources import load_models

    if click.get_current_context().get_parameter_source("paths") is ParameterSource.COMMANDLINE and paths:
        return load_models(paths).find

    def find(name: str) -> Model | None:
        meant = meant_by(name)
        return None if meant is None else listed_model(meant)

    return find


@frozen
class _Examined:
    """All that was found, the texts by file name, and the files that were examined."""

    checked: Checked
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, SourceText]
    files: frozenset[str]

    @property
    def searched(self) -> tuple[Diagnostic, ...]:
        """The notes on conditions that were not decided."""
        return tuple(item for item in self.diagnostics if item.code == "CL490" and item.severity is Severity.NOTE)


def _examine(paths: tuple[Path, ...], limit: float) -> _Examined:
    from costlens_policy.assurance import examine
    from costlens_policy.checker import check_all
    from costlens_policy.source.suppressions import suppress, unused_suppressions
    from costlens_policy.testing import examine_suites

    checked = check_all(paths)
    suites = examine_suites(paths, _by_file(checked))
    promised = _promised(paths, checked)
    found = (item for bundle in checked.bundles for item in examine(bundle, seconds=limit))
    sources = {source.name: source for source in (*suites.sources, *checked.sources.values())}
    diagnostics = _once(suppress((*checked.diagnostics, *suites.diagnostics, *promised, *found), sources))
    if not any(item.is_error and item.stops for item in diagnostics):  # else not everything was examined
        diagnostics = in_order((*diagnostics, *unused_suppressions(diagnostics, sources)))
    files = _files(paths, checked, diagnostics) | {source.name for source in suites.sources}
    return _Examined(checked, diagnostics, sources, files)


def _promised(paths: tuple[Path, ...], checked: Checked) -> tuple[Diagnostic, ...]:
    """Return what is wrong with documents of invariants, where there may be any."""
    if not any("Invariants" in source.text for source in checked.sources.values()):
        return ()
    from costlens_policy.proof.proofs import examine_invariants

    return examine_invariants(paths, _by_file(checked)).diagnostics


def _fixed(examined: _Examined) -> dict[str, tuple[str, int]]:
    """Return the files that fixes change, each with its new text and how many were made."""
    from costlens_policy.source.edits import apply_edits

    edits: defaultdict[str, list[Edit]] = defaultdict(list)
    for item in examined.diagnostics:
        for edit in item.fix() if item.fix is not None and not item.suppressed else ():
            edits[edit.span.file].append(edit)
    return {name: apply_edits(examined.sources[name].text, found) for name, found in edits.items()}


def _show(fixed: Mapping[str, tuple[str, int]], examined: _Examined, strict: bool) -> ExitCode:
    """Print what fixes would change, and beside it what they would leave that makes ``check`` fail."""
    for name, (text, _) in fixed.items():
        write_out(difference(examined.sources[name], text))
    fails = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
    left = [
        item for item in examined.diagnostics if item.severity in fails and item.fix is None and not item.suppressed
    ]
    if left:
        sources = tuple(examined.sources.values())
        note(render_diagnostics(left, sources=sources, stderr=True).rstrip())
    note(_count(fixed, "would be"))
    return (exit_code_of(left) or ExitCode.INVALID) if left else ExitCode.OK


def _write(fixed: Mapping[str, tuple[str, int]]) -> None:
    for name, (text, _) in fixed.items():
        write_file(Path(name), text.encode())
    note(_count(fixed, "were" if sum(made for _, made in fixed.values()) > 1 else "was"))


def _count(fixed: Mapping[str, tuple[str, int]], verb: str) -> str:
    number = sum(made for _, made in fixed.values())
    return f"{number} problem{'' if number == 1 else 's'} {verb} fixed"


def _save(examined: _Examined, file: Path) -> None:
    """Write the witnesses of the one policy set that has some as a suite."""
    from costlens_policy.assurance.cases import cases_of, suite_text

    cases = cases_of(item for item in examined.diagnostics if not item.suppressed)
    sets = {bundle.linked.policy_set.located.source.name for bundle in examined.checked.bundles}
    if not cases:
        note(f"no request shows a finding, so `{file}` is not written")
        return
    if len(sets) != 1:
        raise click.UsageError(f"--save-case needs one policy set, got {len(sets)}")
    write_new_suite(file, suite_text(Path(sets.pop()), cases, file))
    note(f"wrote {len(cases)} case{'' if len(cases) == 1 else 's'} to `{file}`")


def _note_what_was_left(broken: Collection[Path], searched: int, verbose: bool) -> None:
    """Report what the absence of findings says nothing about."""
    if broken:
        which = "a policy set has errors: what its" if len(broken) == 1 else "policy sets have errors: what their"
        note(f"{which} rules do to requests is examined once they are corrected")
    if searched:
        conditions = "1 condition was" if searched == 1 else f"{searched} conditions were"
        note(f"{conditions} searched, not decided" + ("" if verbose else "; `--verbose` shows them"))


def _nothing(paths: Sequence[Path], output: str) -> ExitCode:
    """Report that there is nothing to check: to a program on standard output, in the format that it asked for."""
    message = f"no policy file in {listed(map(str, paths))}"
    if output == "full":
        raise NothingError(f"{message}; {_START}")
    write_out(render_diagnostics([Diagnostic("CL201", Severity.ERROR, message, help=_START)], output))
    return ExitCode.NOTHING


def _by_file(checked: Checked) -> dict[Path, CheckedBundle | None]:
    """Return the policy sets that stand alone in their files, so that suites need not check them again."""
    files = [Path(bundle.linked.policy_set.located.source.name).resolve() for bundle in checked.bundles]
    alone = {file: bundle for file, bundle in zip(files, checked.bundles, strict=True) if files.count(file) == 1}
    return {**alone, **dict.fromkeys(checked.broken)}


def _once(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Drop what has been found twice in a file that goes by two names."""
    kept: dict[Hashable, Diagnostic] = {}
    for item in diagnostics:
        place = None if item.span is None else (os.path.realpath(item.span.file), item.span.start, item.span.end)
        kept.setdefault((item.code, place, item.message if place is None else item.label, item.severity), item)
    return in_order(kept.values())


def _files(paths: Sequence[Path], checked: Checked, diagnostics: Iterable[Diagnostic]) -> frozenset[str]:
    """Return the files that were named, hold a document of this program, or have something wrong with them."""
    blamed = {item.span.file for item in diagnostics if item.span is not None}
    return checked.files | blamed | {str(path) for path in paths if not path.is_dir()}
