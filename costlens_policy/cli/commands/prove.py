"""``prove``: decide what policies promise, for every request."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode, NothingError, exit_code_of
from costlens_policy.cli.formats import format_option
from costlens_policy.cli.options import Number
from costlens_policy.cli.output import note, render_diagnostics, write_json, write_new_suite, write_out
from costlens_policy.diagnostics.suggestion import listed

if TYPE_CHECKING:
    from costlens_policy.assurance import Witness
    from costlens_policy.proof import Comparison, Proof, Proofs

__all__ = ["command"]

_SHOWN: Final = 3


@click.command(
    "prove",
    cls=Command,
    short_help="Prove the invariants of policies, or refute them with a request.",
    examples=[
        ("prove every invariant in this directory", "prove ."),
        ("write the requests that refute some as a failing test", "prove . --save-case broken_test.yaml"),
        ("results for a program, within ten seconds", "prove . --format json --limit 10"),
        ("compare the branch with main, for every request", "prove main:policies policies"),
        ("fail CI unless the new version is proved to be equal or stricter", "prove old new --no-looser"),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING, ExitCode.TEST_FAILED, ExitCode.GATE, ExitCode.UNDECIDED],
)
@click.argument("paths", metavar="[PATH]... | OLD NEW", nargs=-1)
@format_option("text", "json")
@click.option(
    "--limit",
    metavar="SECONDS",
    type=Number(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Stop after so long; what is not decided by then is unknown.",
)
@click.option(
    "--save-case",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a suite to a new FILE whose cases fail as long as the invariants are refuted.",
)
@click.option(
    "--no-looser",
    is_flag=True,
    help="With OLD and NEW, exit with 7 unless every stage is proved to be equal or stricter.",
)
def command(paths: tuple[str, ...], output: str, limit: float, save_case: Path | None, no_looser: bool) -> ExitCode:
    """Decide every invariant in PATH, files or directories; defaults to the current directory.

    An invariant is a promise of a policy set, in a document of kind Invariants. Each is proved for all requests, all
    times and all states of budgets, or refuted by a request that the engine has decided. What can be neither proved nor
    refuted is unknown, with the reason: nothing holds because a search found nothing.

    Two arguments that are a policy set each, as a file, a directory, a bundle, or a git revision as REV:path, are two
    versions: of each stage it is decided whether NEW is equal to OLD, stricter, looser or neither, with requests.
    """
    if len(paths) == 2 and all(map(_is_version, paths)):
        return _compare(*paths, output, limit, no_looser)
    if no_looser:
        raise click.UsageError("`--no-looser` needs two versions of a policy set, OLD and NEW")
    missing = [path for path in paths if not Path(path).exists()]
    if missing:
        raise click.UsageError(f"there is no file or directory `{missing[0]}`")
    return _prove(tuple(map(Path, paths)) or (Path(),), output, limit, save_case)


def _is_version(name: str) -> bool:
    """Say whether an argument is one policy set, or a git revision."""
    from costlens_policy.bundles.archive import is_bundle
    from costlens_policy.checker.library import Library, find_sets

    if not Path(name).exists():
        return ":" in name[1:]
    return is_bundle(name) or len(find_sets(Library(), [Path(name)])[0]) == 1


def _compare(old: str, new: str, output: str, limit: float, no_looser: bool) -> ExitCode:
    from costlens_policy.checker import check
    from costlens_policy.cli.sources import policies_at
    from costlens_policy.proof import compare

    with policies_at(old) as old_path, policies_at(new) as new_path:
        compared = compare(check(old_path), check(new_path), limit_s=limit)
    if output == "json":
        write_json(compared.to_dict())
    else:
        write_out("".join(f"{line}\n" for line in _of_comparison(compared)))
    verdicts = {stage.verdict for stage in compared.stages}
    if no_looser and not verdicts <= {"equal", "stricter"}:
        return ExitCode.GATE
    return ExitCode.UNDECIDED if "unknown" in verdicts else ExitCode.OK


def _of_comparison(compared: Comparison) -> Iterator[str]:
    for stage in compared.stages:
        yield f"{stage.name:10}{stage.verdict}"
        for item in stage.differences:
            yield f"  {item.direction + ':':10}{item.what}"
            if item.old is not None and item.new is not None:
                yield f"{'':12}the request {item.new}"
                yield f"{'':12}was decided {_decision(item.old)}, is decided {_decision(item.new)}"
        yield from (f"  {'unknown:':10}{why}" for why in stage.unknown)
    yield from (f"note: {note}" for note in compared.notes)


def _decision(witness: Witness) -> str:
    decision = witness.decision
    return f"`{decision.model}` by `{decision.rule}`" if decision.model else f"to refuse it by `{decision.rule}`"


def _prove(paths: tuple[Path, ...], output: str, limit: float, save_case: Path | None) -> ExitCode:
    from costlens_policy.proof import prove

    tell = (lambda id: click.echo(f"\r\033[Kproving {id}", nl=False, err=True)) if sys.stderr.isatty() else _silent
    found = prove(paths, limit_s=limit, tell=tell)
    if sys.stderr.isatty():
        click.echo("\r\033[K", nl=False, err=True)
    if found.diagnostics:
        note(render_diagnostics(found.diagnostics, stderr=True, sources=found.sources))
    if not found.proofs and not found.diagnostics:
        raise NothingError(f"no invariants in {listed(map(str, paths))}; they are documents of kind Invariants")
    if output == "json":
        write_json({"invariants": [proof.to_dict() for proof in found.proofs]})
    else:
        write_out("".join(f"{line}\n" for line in _lines(found)))
    if save_case is not None:
        _save(found, save_case)
    return _exit_code(found)


def _silent(_: str) -> None:
    return


def _lines(found: Proofs) -> Iterator[str]:
    from costlens_policy.proof import Holds, Refuted, Unknown, Vacuous

    for proof in found.proofs:
        yield from _of_proof(proof)
    counts = {kind: len(found.of(kind)) for kind in (Holds, Refuted, Unknown, Vacuous)}
    words = (f"{number} {_WORDS[kind.__name__]}" for kind, number in counts.items() if number)
    if found.proofs:
        yield ""
        yield f"{len(found.proofs)} invariant{'s' if len(found.proofs) > 1 else ''}: {', '.join(words)}"


_WORDS: Final = {"Holds": "proved", "Refuted": "refuted", "Unknown": "unknown", "Vacuous": "about no request"}


def _of_proof(proof: Proof) -> Iterator[str]:
    from costlens_policy.proof import Refuted, Unknown, Vacuous

    verdict, invariant = proof.verdict, proof.invariant
    yield f"{_WORDS[type(verdict).__name__]:8}  {invariant.id}: {invariant.title}"
    place = f"--> {proof.span.file}:{proof.span.start.line}"
    if isinstance(verdict, Refuted):
        yield f"          {place}"
        yield f"          {verdict.breach.what}"
        yield f"          by the request {verdict.witness}"
    elif isinstance(verdict, Unknown):
        yield f"          {place}"
        yield f"          {verdict.why}"
        yield f"          open: {', '.join(verdict.where[:_SHOWN])}{_more(len(verdict.where) - _SHOWN)}"
    elif isinstance(verdict, Vacuous):
        yield f"          {place}"


def _more(number: int) -> str:
    return f", and {number} more" if number > 0 else ""


def _save(found: Proofs, file: Path) -> None:
    from costlens_policy.proof import Refuted
    from costlens_policy.proof.cases import suite_of

    refuted = found.of(Refuted)
    if not refuted:
        note(f"nothing is refuted, so `{file}` is not written")
        return
    write_new_suite(file, suite_of(refuted, file))
    note(f"wrote {len(refuted)} case{'s' if len(refuted) > 1 else ''} to `{file}`")


def _exit_code(found: Proofs) -> ExitCode:
    from costlens_policy.proof import Refuted, Unknown, Vacuous

    code = exit_code_of(found.diagnostics)
    if code is not ExitCode.OK:
        return code
    if found.of(Vacuous):
        return ExitCode.INVALID
    if found.of(Refuted):
        return ExitCode.TEST_FAILED
    return ExitCode.UNDECIDED if found.of(Unknown) else ExitCode.OK
