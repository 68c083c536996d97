"""Which name means which model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from costlens_policy.catalogue import problems
from costlens_policy.catalogue.drafts import Place
from costlens_policy.catalogue.versions import spelling
from costlens_policy.diagnostics.model import Diagnostic, Span
from costlens_policy.diagnostics.suggestion import nearest

__all__ = ["Names", "short_names"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+~-]*")


def short_names(full_names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the imported models by their name without the provider, where that can be a name of its own.

    A name with a slash in it cannot: ``anthropic/claude`` sold by ``openrouter`` would look like the maker's own.
    """
    found: dict[str, list[str]] = {}
    for full in sorted(full_names):
        short = full.partition("/")[2]
        if "/" not in short and _NAME.fullmatch(short):
            found.setdefault(short, []).append(full)
    return {short: tuple(names) for short, names in found.items()}


class Names:
    """Every name that documents give, and the model that it means.

    An imported model goes by its short name where that is unique among all imports, else by ``provider/name``.
    """

    def __init__(self, imported: Iterable[str]) -> None:
        full_names = tuple(imported)
        self._meaning: dict[str, str] = {full: full for full in full_names}
        self._places: dict[str, Place] = {}
        self._ambiguous: dict[str, tuple[str, ...]] = {}
        for short, names in short_names(full_names).items():
            if len(names) > 1:
                self._ambiguous[short] = names
            else:
                self._meaning[short] = self._meaning[names[0]] = short

    def find(self, name: str) -> str | None:
        """Return the own name of the model, or None."""
        return self._meaning.get(name)

    def choices(self, name: str) -> tuple[str, ...]:
        """Return the models that a short name could mean when it is not unique."""
        return self._ambiguous.get(name, ())

    def aliases_of(self) -> Mapping[str, list[str]]:
        """Return all other names of each model, in order."""
        found: dict[str, list[str]] = {name: [] for name in self._meaning.values()}
        for name, model in sorted(self._meaning.items()):
            if name != model:
                found[model].append(name)
        return found

    def declare(self, name: str, place: Place) -> str:
        """Take the name of an entry; return the own name of the model that it adds or overrides."""
        self._places.setdefault(name, place)
        return self._meaning.setdefault(name, name)

    def claim(self, alias: str, model: str, place: Place) -> Diagnostic | None:
        """Let an alias mean a model; return the problem when it means another one."""
        owner = self._meaning.setdefault(alias, model)
        if owner != model:
            first = self._places.get(alias) or self._places.get(owner)
            return problems.name_taken(alias, owner, place.span, first.key_span if first else None)
        self._places.setdefault(alias, place)
        return None

    def imply(self, provider_of: Mapping[str, str]) -> None:
        """Let ``provider/name`` mean each model, where no document gives that name and only one model implies it."""
        implied: dict[str, list[str]] = {}
        for model, provider in provider_of.items():
            if not model.startswith(f"{provider}/") and _NAME.fullmatch(f"{provider}/{model}"):
                implied.setdefault(f"{provider}/{model}", []).append(model)
        for name, models in implied.items():
            if len(models) == 1:
                self._meaning.setdefault(name, models[0])

    def recall(self, written: Mapping[str, Iterable[str]]) -> None:
        """Let each name that the price list writes out for an imported model mean it, where no document has it."""
        taken = {_apart(name) for name in self._places}
        recalled: dict[str, set[str]] = {}
        for model, names in written.items():
            for name in names:
                if name not in self._ambiguous and _NAME.fullmatch(name) and _apart(name) not in taken:
                    recalled.setdefault(name, set()).add(model)
        for name, models in recalled.items():
            if len(models) == 1:
                self._meaning.setdefault(name, *models)

    def problem_with(self, name: str, span: Span) -> Diagnostic:
        """Return why a name means no model."""
        if choices := self.choices(name):
            return problems.ambiguous_name(name, choices, span)
        return problems.unknown_model(name, nearest(name, self._meaning), span)


def _apart(name: str) -> tuple[str, str]:
    """Return what distinguishes a name from others, whatever leads to it."""
    read = spelling(name)
    return read.stem, read.version
