"""Facts taken from a base model, and prices taken from another model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from costlens_policy.catalogue import problems
from costlens_policy.catalogue.chains import in_dependency_order
from costlens_policy.catalogue.drafts import Draft, Reference
from costlens_policy.catalogue.names import Names
from costlens_policy.catalogue.versions import Versions
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["inherit_facts", "take_prices"]


def inherit_facts(drafts: Mapping[str, Draft], names: Names) -> Iterator[Diagnostic]:
    """Let each fine-tuned model have its base's facts where it has none of its own."""
    links, found = _links(drafts, names, lambda draft: draft.base)
    yield from found
    ordered, circles = in_dependency_order(links)
    for name in ordered:
        draft, base = drafts[name], drafts[name].base
        assert base is not None, "only models with a base are linked"
        draft.base = Reference(links[name], base.place)
        draft.inherit(drafts[links[name]])
    for circle in circles:
        base = drafts[circle[0]].base
        assert base is not None, "only models with a base are linked"
        yield problems.cycle(circle, "is fine-tuned from", base.place.span)


def take_prices(drafts: Mapping[str, Draft], names: Names) -> Iterator[Diagnostic]:
    """Give each model with ``price_as`` the prices of that model."""
    links, found = _links(drafts, names, lambda draft: draft.price_as)
    yield from found
    for draft in drafts.values():
        draft.prices_settled |= draft.price_as is not None and draft.name not in links
    ordered, circles = in_dependency_order(links)
    for name in ordered:
        draft, source = drafts[name], drafts[links[name]]
        draft.periods, draft.prices_settled = source.periods, source.prices_settled
        draft.price_source = f"as {source.name}: {source.price_source}"
    for circle in circles:
        price_as = drafts[circle[0]].price_as
        assert price_as is not None, "only models with `price_as` are linked"
        yield problems.cycle(circle, "is priced as", price_as.place.span)
    for name in links.keys() - set(ordered):
        drafts[name].prices_settled = True


def _links(
    drafts: Mapping[str, Draft], names: Names, reference_of: Callable[[Draft], Reference | None]
) -> tuple[dict[str, str], list[Diagnostic]]:
    """Return which model refers to which, and the references that lead nowhere."""
    links: dict[str, str] = {}
    versions = Versions(drafts.values())
    found: list[Diagnostic] = []
    for name, draft in drafts.items():
        reference = reference_of(draft)
        if reference is None:
            continue
        target = names.find(reference.name)
        if target is None and (meant := versions.find(reference.name)) is not None:
            target = meant.name
        if target is None:
            found.append(names.problem_with(reference.name, reference.place.span))
        else:
            links[name] = target
    return links, found
