"""All models by all their names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from costlens_policy.catalogue.digest import digest_of
from costlens_policy.catalogue.model import Model
from costlens_policy.catalogue.versions import Versions
from costlens_policy.diagnostics.suggestion import nearest

__all__ = ["Catalogue"]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The models there are, in the order of their names."""

    models: Mapping[str, Model]
    """By the model's own name."""
    digest: str
    """SHA-256, in hexadecimal, of everything here that can change a decision."""
    _by_name: Mapping[str, Model] = field(repr=False, compare=False)
    _versions: Versions[Model] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_versions", Versions(self.models.values()))

    def __reduce__(self) -> tuple[object, ...]:
        """Travel as plain dictionaries: what keeps them from being changed cannot be pickled."""
        return _restored, (dict(self.models), self.digest, dict(self._by_name))

    @classmethod
    def of(cls, models: Iterable[Model]) -> Catalogue:
        """Build a catalogue; ``ValueError`` where two models share a name or an alias."""
        ordered = sorted(models, key=lambda model: model.name)
        by_name: dict[str, Model] = {}
        for model in ordered:
            for name in (model.name, *model.aliases):
                if by_name.setdefault(name, model) is not model:
                    raise ValueError(f"`{name}` is the name of two models")
        own_names = MappingProxyType({model.name: model for model in ordered})
        return cls(own_names, digest_of(ordered), MappingProxyType(by_name))

    def find(self, name: str) -> Model | None:
        """Return the model that a name means, None where it means none, or could mean two.

        The one way from a name to a model, for policies, requests, answers and logs alike: its own name, an alias,
        ``provider/name``, and else what ``catalogue.versions`` makes of a dated, prefixed or regional name.
        """
        return self._by_name.get(name) or self._versions.find(name)

    def calls_it(self, name: str) -> bool:
        """Say whether a model has this very name, so that nothing has to be made of it."""
        return name in self._by_name

    def suggest(self, name: str) -> str | None:
        """Return the name that an unknown one probably means: the same model of a provider, or the nearest spelling."""
        ending = f"/{name}"
        same = next((model.name for model in self if model.name.endswith(ending)), None)
        return same or nearest(name, self._by_name)

    def __iter__(self) -> Iterator[Model]:
        return iter(self.models.values())

    def __len__(self) -> int:
        return len(self.models)


def _restored(models: dict[str, Model], digest: str, by_name: dict[str, Model]) -> Catalogue:
    return Catalogue(MappingProxyType(models), digest, MappingProxyType(by_name))
