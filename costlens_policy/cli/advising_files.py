"""Workloads of candidates as files to be edited: each beside one catalogue and one policy set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from costlens_policy.advise.advice import own_policy_set
from costlens_policy.advise.derivation import CATALOGUE, POLICY_SET
from costlens_policy.advise.ranking import Ranked, Ranking
from costlens_policy.catalogue.lock import document_text
from costlens_policy.catalogue.model import Model
from costlens_policy.catalogue.yaml_text import comment, yaml_lines
from costlens_policy.cli.files import write_file
from costlens_policy.errors import InputError

__all__ = ["write_workloads"]


def write_workloads(ranking: Ranking, folder: Path) -> list[Path]:
    """Write a workload for each candidate, and what they name. Nothing is overwritten: raises ``InputError``."""
    found = tuple(ranking.candidates)
    files = {folder / f"{name}.yaml": _workload(item, name) for name, item in zip(_names(found), found, strict=True)}
    workloads = list(files)
    if not files:
        return []
    files[folder / CATALOGUE] = _catalogue(found, ranking)
    with own_policy_set() as own:
        target = (folder / POLICY_SET).parent
        files |= {target / path.name: path.read_text(encoding="utf-8") for path in sorted(own.iterdir())}
    there = [path for path in files if path.exists()]
    if there:
        raise InputError(f"`{there[0]}` exists already; name another folder with --write")
    for path, text in files.items():
        write_file(path, text.encode())
    return workloads


def _names(items: tuple[Ranked, ...]) -> Iterator[str]:
    """Yield a file's name for each, unique among them and not that of the catalogue."""
    taken = {CATALOGUE.removesuffix(".yaml")}
    for item in items:
        name = base = str(item.derived.plain["metadata"]["name"])
        number = 1
        while name in taken:
            number += 1
            name = f"{base}-{number}"
        taken.add(name)
        yield name


def _workload(item: Ranked, name: str) -> str:
    derived = item.derived
    plain = {**derived.plain, "metadata": {**derived.plain["metadata"], "name": name}}
    notes = (
        *(f"not known from the traffic: {text}" for text in derived.unknown),
        *(f"taken for granted: {text}" for text in derived.assumed),
    )
    return "\n".join([*map(comment, notes), *yaml_lines(plain)]) + "\n"


def _catalogue(items: tuple[Ranked, ...], ranking: Ranking) -> str:
    models: dict[str, Model] = {}
    for item in items:
        setting = item.advice.setting
        for contest in (setting.current, setting.small, setting.fine_tuned):
            if contest is not None:
                # What its base gave it is its own already, and the base need not be there.
                models[contest.model.name] = replace(contest.model, base=None, trained_for=())
    head = {
        "name": "advise",
        "version": "1",
        "description": f"Models of the workloads beside it. Prices: {ranking.source}. Correct what you know better.",
    }
    return document_text(head, models.values())
