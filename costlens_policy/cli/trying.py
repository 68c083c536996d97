"""What ``test`` does beside running suites: policies with small changes, suites of requests, random requests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from costlens_policy.cli.exit_codes import ExitCode, NothingError
from costlens_policy.cli.options import Number
from costlens_policy.cli.output import note, prints_color, render_diagnostics, write_json, write_new_suite, write_out
from costlens_policy.diagnostics.model import PolicyError
from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from costlens_policy.assurance import Subject, Witness
    from costlens_policy.proof.claims import Claim
    from costlens_policy.testing.fuzz import Fuzzed, Promise

__all__ = ["TRYING_OPTIONS", "Trying", "check_folder_of", "try_out", "write_suggestions"]

TRYING_OPTIONS = (
    click.option(
        "--mutate",
        is_flag=True,
        help="Change the policies a little at a time, and report each change that no case notices.",
    ),
    click.option(
        "--min-score",
        metavar="PERCENT",
        type=Number(0, 100),
        help="With --mutate: exit with 5 if a smaller share of the mutants is killed.",
    ),
    click.option(
        "--rule", metavar="PATTERN", help="With --mutate: only rules whose `policy/rule` matches, with `*` and `?`."
    ),
    click.option(
        "--jobs",
        metavar="N",
        type=click.IntRange(1, 256),
        help="With --mutate: processes; defaults to one for each processor.",
    ),
    click.option("--limit", metavar="SECONDS", type=Number(0), help="With --mutate: try no further mutant after this."),
    click.option("--cache/--no-cache", default=True, help="With --mutate: take over what earlier runs found."),
    click.option(
        "--record",
        metavar="FILE",
        help="Write a suite that expects what is decided of the requests in FILE: JSON lines, or a decision log; `-` is"
        " standard input.",
    ),
    click.option(
        "--fuzz", is_flag=True, help="Decide random requests, and report internal errors and broken invariants."
    ),
    click.option("--runs", metavar="N", type=click.IntRange(1), help="With --fuzz: requests to decide. Default: 1000."),
    click.option("--seconds", metavar="N", type=Number(0), help="With --fuzz: time to spend instead."),
    click.option("--seed", metavar="N", type=int, default=None, help="With --fuzz: where to begin. Default: 1."),
)


_NEEDS: Final = {"mutate": ("min_score", "rule", "jobs", "limit"), "fuzz": ("runs", "seconds", "seed")}
"""Options by the mode that they are for."""


@frozen
class Trying:
    """What was asked for beside suites."""

    mutate: bool
    min_score: float | None
    rule: str | None
    jobs: int | None
    limit: float | None
    cache: bool
    record: str | None
    fuzz: bool
    runs: int | None
    seconds: float | None
    seed: int | None

    def mode(self, others: Mapping[str, Any]) -> str:
        """Return what to do: ``mutate``, ``record``, ``fuzz``, or nothing of that.

        ``others`` are options that none of them has. Raises ``UsageError``.
        """
        modes = {"mutate": self.mutate, "record": self.record is not None, "fuzz": self.fuzz}
        chosen = [name for name, wanted in modes.items() if wanted]
        if len(chosen) > 1:
            raise click.UsageError(f"`--{chosen[0]}` cannot be combined with `--{chosen[1]}`")
        mode = chosen[0] if chosen else ""
        for needed, names in (
            ("mutate", ("min_score", "rule", "jobs", "limit")),
            ("fuzz", ("runs", "seconds", "seed")),
        ):
            for name in names:
                if mode != needed and getattr(self, name) is not None:
                    raise click.UsageError(f"`--{name.replace('_', '-')}` needs `--{needed}`")
        if mode and (unfit := [name for name, given in others.items() if given]):
            raise click.UsageError(f"`--{unfit[0].replace('_', '-')}` cannot be combined with `--{mode}`")
        return mode


def try_out(
    mode: str,
    asked: Trying,
    paths: tuple[Path, ...],
    filter: str | None,
    format: str,
    suggest: bool,
    target: Path | None,
) -> ExitCode:
    """Do what a mode asks for. Raises ``UsageError`` for options that it does not have."""
    if format not in ("pretty", "json") or (mode == "record" and format != "pretty"):
        raise click.UsageError(f"`--{mode}` cannot print `--format {format}`")
    if suggest and mode != "mutate":
        raise click.UsageError(f"`--suggest` cannot be combined with `--{mode}`")
    if target is not None and not (suggest or mode in ("record", "fuzz")):
        raise click.UsageError("`--output` needs `--suggest`")
    if suggest and format != "pretty":
        raise click.UsageError("`--suggest` prints a suite; it does not go with `--format`")
    check_folder_of(target)
    if mode == "mutate":
        return _mutate(asked, paths, filter, format, suggest, target)
    return _record(asked, paths, target) if mode == "record" else _fuzz(asked, paths, format, target)


def check_folder_of(target: Path | None) -> None:
    """Refuse a file that cannot be written, before anything is worked out for it. Raises ``UsageError``."""
    if target is not None and not target.resolve().parent.is_dir():
        raise click.UsageError(f"`{target}` cannot be written: its folder does not exist")


def _mutate(
    asked: Trying, paths: tuple[Path, ...], filter: str | None, format: str, suggest: bool, target: Path | None
) -> ExitCode:
    """Change the policies a little at a time, and print what no case notices."""
    from costlens_policy.cli.traffic import LateProgress
    from costlens_policy.testing.mutation.formats import render_json, render_text
    from costlens_policy.testing.mutation.run import mutate

    with LateProgress() as progress:
        found = mutate(
            paths,
            filter=filter,
            rule=asked.rule,
            jobs=asked.jobs,
            limit=asked.limit,
            min_score=asked.min_score,
            cache=asked.cache,
            suggest_for=_folder(target) if suggest else None,
            progress=progress,
        )
    if suggest and found.sets:
        write_suggestions(found.suggested, target)
        score = "there is no mutation score" if found.score is None else f"the mutation score is {found.score:g} %"
        note(f"{score}; {len(found.survivors)} mutants survived")
    elif format == "json":
        write_out(render_json(found))
    else:
        write_out(render_text(found, color=prints_color(sys.stdout)))
    if not found.sets and not found.failing and not found.diagnostics:
        note("no test case was found")
    elif found.exit_code == ExitCode.NOTHING:
        note(f"no rule matches `{asked.rule}`")
    return ExitCode(found.exit_code)


def _folder(target: Path | None) -> Path:
    return Path.cwd() if target is None else target.resolve().parent


def write_suggestions(text: str, target: Path | None) -> None:
    """Print cases, or write them to a file; without cases there is none."""
    if target is None:
        write_out(text)
    elif text:
        write_new_suite(target, text)


def _record(asked: Trying, paths: tuple[Path, ...], target: Path | None) -> ExitCode:
    """Write a suite that expects what is decided of requests."""
    from costlens_policy.api import Engine
    from costlens_policy.checker import check
    from costlens_policy.clock import system_now
    from costlens_policy.compiler import compile_plan
    from costlens_policy.testing.record import record

    bundle = check(paths)
    name, file = bundle.linked.policy_set.name, bundle.linked.policy_set.located.source.name
    now = system_now().replace(microsecond=0)
    found = record(Engine(compile_plan(bundle)), _lines(str(asked.record)), now)
    for number, why in found.left_out[:20]:
        note(f"line {number} is left out: {why}")
    if not found.cases:
        raise NothingError(f"no request in `{asked.record}` can be decided")
    policy_set = Path(os.path.relpath(os.path.realpath(file), _folder(target))).as_posix()
    write_suggestions(found.written(f"recorded-{name}", policy_set), target)
    left_out = f", {len(found.left_out)} left out" if found.left_out else ""
    note(f"{len(found.cases)} cases of {found.lines} lines{left_out}")
    return ExitCode.USAGE if found.left_out else ExitCode.OK


def _lines(file: str) -> Iterator[str]:
    from costlens_policy.errors import InputError

    if file == "-":
        yield from sys.stdin
        return
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            yield from stream
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"`{file}` cannot be read: {reason.lower()}") from error


def _fuzz(asked: Trying, paths: tuple[Path, ...], format: str, target: Path | None) -> ExitCode:
    """Decide random requests, and print what went wrong."""
    from costlens_policy.assurance import Subject
    from costlens_policy.checker import check
    from costlens_policy.clock import system_now
    from costlens_policy.testing.fuzz import failing_suite, fuzz

    bundle = check(paths)
    subject = Subject(bundle, system_now().replace(hour=12, minute=0, second=0, microsecond=0))
    runs = asked.runs if asked.runs is not None or asked.seconds is not None else 1000
    seed = 1 if asked.seed is None else asked.seed
    found = fuzz(subject, seed=seed, runs=runs, seconds=asked.seconds, promises=tuple(_promises(subject, paths)))
    if format == "json":
        write_json(found.to_dict())
    else:
        write_out("".join(f"{line}\n" for line in _fuzzed(found)))
    if target is not None and found.failures:
        file = bundle.linked.policy_set.located.source.name
        policy_set = Path(os.path.relpath(os.path.realpath(file), _folder(target))).as_posix()
        write_new_suite(target, failing_suite(found, subject, policy_set))
    return ExitCode.TEST_FAILED if found.failures else ExitCode.OK


def _fuzzed(found: Fuzzed) -> Iterator[str]:
    for failure in found.failures:
        yield f"FAILED  {failure.what}"
        yield f"        on {failure.shown}"
    failed = f"{len(found.failures)} kinds of failures" if found.failures else "no failure"
    yield f"{found.tried:,} requests with seed {found.seed}, {found.decided:,} of them decided: {failed}"


def _promises(subject: Subject, paths: tuple[Path, ...]) -> Iterator[Promise]:
    """Yield the invariants of the policy set, as what decisions must not break. Raises ``PolicyError``."""
    from costlens_policy.proof.claims import claims_of
    from costlens_policy.proof.promises import find_promises

    found = find_promises(paths)
    if found.broken:
        raise PolicyError(found.diagnostics)
    if found.diagnostics:
        note(render_diagnostics(found.diagnostics, stderr=True, sources=found.sources))
    name = subject.bundle.linked.policy_set.located.source.name
    for promises in found.promises:
        if Path(promises.bundle.linked.policy_set.located.source.name).resolve() != Path(name).resolve():
            continue
        for claim in claims_of(subject, promises.document, promises.expressions):
            yield partial(_broken, claim)


def _broken(claim: Claim, witness: Witness) -> str:
    breach = claim.broken_by(witness)
    return "" if breach is None else f"the invariant `{claim.invariant.id}` is broken: {breach.what}"
