"""Resolve catalogue documents: imports, overrides, inheritance and names become one catalogue of models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from costlens_policy.catalogue import price_list, problems
from costlens_policy.catalogue.catalogue import USUAL_LEVEL, Catalogue, Evidence, Model
from costlens_policy.catalogue.drafts import (
    Draft,
    ModelReference,
    Place,
    compare_prices,
    examine_prices,
    find_exchanged,
    periods_from,
)
from costlens_policy.catalogue.names import Names
from costlens_policy.catalogue.prompt_cache import PromptCache
from costlens_policy.catalogue.versions import Versions
from costlens_policy.catalogue.writing import DIGEST_LABEL, digest_label
from costlens_policy.clock import duration_of
from costlens_policy.diagnostics.model import Diagnostic, in_order
from costlens_policy.documents.catalogue import (
    CatalogueDocument,
    CatalogueModel,
    MeasuredQuality,
    PromptCacheFacts,
    Quality,
)
from costlens_policy.frozen import frozen
from costlens_policy.source.located import LocatedDocument

__all__ = ["Resolved", "resolve"]

_INTERVAL: Final = ("low", "value", "high", "level")


@frozen
class Resolved:
    """The catalogue, as much of it as can be made out, and every problem found."""

    catalogue: Catalogue
    diagnostics: tuple[Diagnostic, ...]


def resolve(documents: Sequence[tuple[LocatedDocument, CatalogueDocument]]) -> Resolved:
    """Resolve documents in order; a later one overrides models of an earlier one. Nothing is raised.

    A locked document whose content is not what its digest says is a problem, too.
    """
    resolved = _resolve(documents)
    changed: list[Diagnostic] = []
    for pair in documents:
        if DIGEST_LABEL in pair[1].metadata.labels:
            alone = resolved if len(documents) == 1 else _resolve([pair])
            changed.extend(_changed(pair, alone))
    return Resolved(resolved.catalogue, in_order([*resolved.diagnostics, *changed]))


def _resolve(documents: Sequence[tuple[LocatedDocument, CatalogueDocument]]) -> Resolved:
    imports = _read_imports(documents)
    names = Names(imports.drafts)
    drafts = {}
    for full, draft in imports.drafts.items():
        draft.name = names.find(full) or full
        drafts[draft.name] = draft
    diagnostics = list(imports.diagnostics)
    for located, document in documents:
        diagnostics.extend(_read_entries(located, document, drafts, names))
    diagnostics.extend(_claim_aliases(drafts, names))
    diagnostics.extend(_inherit_facts(drafts, names))
    diagnostics.extend(_take_prices(drafts, names))
    for draft in drafts.values():
        diagnostics.extend(_examine_whole(draft))
    names.recall({draft.name: price_list.other_dates(full) for full, draft in imports.drafts.items()})
    names.imply({name: draft.facts["provider"] for name, draft in drafts.items() if "provider" in draft.facts})
    return Resolved(_catalogue(drafts, names), in_order(diagnostics))


def _claim_aliases(drafts: Mapping[str, Draft], names: Names) -> Iterator[Diagnostic]:
    for draft in drafts.values():
        for alias, place in draft.aliases.items():
            if problem := names.claim(alias, draft.name, place):
                yield problem


def _catalogue(drafts: Mapping[str, Draft], names: Names) -> Catalogue:
    aliases = names.aliases_of()
    return Catalogue.of(_finish(draft, aliases.get(name, ()), names) for name, draft in drafts.items())


def _changed(pair: tuple[LocatedDocument, CatalogueDocument], alone: Resolved) -> Iterator[Diagnostic]:
    expected = pair[1].metadata.labels[DIGEST_LABEL]
    actual = digest_label(alone.catalogue)
    if expected != actual and not any(problem.is_error for problem in alone.diagnostics):
        place = Place(pair[0], ("metadata", "labels", DIGEST_LABEL))
        yield problems.lock_changed(expected, actual, place.span)


@frozen
class _Imports:
    """Imported models by ``provider/name``, and the patterns that match nothing."""

    drafts: dict[str, Draft]
    diagnostics: tuple[Diagnostic, ...]


def _read_imports(documents: Iterable[tuple[LocatedDocument, CatalogueDocument]]) -> _Imports:
    """Look up every import. Facts of an import win over the price list's, those of a later import over earlier ones."""
    drafts: dict[str, Draft] = {}
    diagnostics: list[Diagnostic] = []
    for located, document in documents:
        for index, section in enumerate(document.imports):
            place = Place(located, ("imports", index))
            for full, pattern in _matched(section.models, place.at("models"), diagnostics):
                if full not in drafts:
                    drafts[full] = _draft(full, pattern)
                drafts[full].learn(section.facts, place.at("facts"))
            diagnostics.extend(_quality_problems(section.facts.quality or {}, place.at("facts", "quality")))
    return _Imports(drafts, tuple(diagnostics))


def _matched(patterns: Iterable[str], place: Place, diagnostics: list[Diagnostic]) -> Iterator[tuple[str, Place]]:
    """Yield each model that one of the patterns matches, once, with the place of the first such pattern."""
    seen: set[str] = set()
    for index, pattern in enumerate(patterns):
        here = place.at(index)
        found = price_list.matching(pattern)
        if not found:
            meant = price_list.nearest_pattern(pattern)
            diagnostics.append(problems.unknown_import(pattern, meant, here.span))
        for full in found:
            if full not in seen:
                seen.add(full)
                yield full, here


def _draft(full: str, place: Place) -> Draft:
    model = price_list.listed_model(full)
    known = {
        "provider": model.provider,
        "context_window": model.context_window,
        "deprecated": model.deprecated,
        "other_versions": model.other_versions or None,
    }
    return Draft(
        name=full,
        place=place,
        imported=True,
        facts={name: value for name, value in known.items() if value is not None},
        periods=model.periods,
        price_source=model.price_source,
    )


def _read_entries(
    located: LocatedDocument, document: CatalogueDocument, drafts: dict[str, Draft], names: Names
) -> Iterator[Diagnostic]:
    """Add the models of one document to ``drafts``, by their own names, or override those that are there."""
    here: dict[str, Place] = {}
    for name, entry in document.models.items():
        place = Place(located, ("models", name))
        if names.choices(name) and names.find(name) is None:
            yield names.problem_with(name, place.key_span)
            continue
        model = names.declare(name, place)
        if model in here:
            yield problems.name_taken(name, model, place.key_span, here[model].key_span)
            continue
        here[model] = place
        draft = drafts.setdefault(model, Draft(model, place))
        draft.override(entry, place)
        yield from _examine(entry, place)
        yield from _prices(draft, entry, place, locked=DIGEST_LABEL in document.metadata.labels)


def _prices(draft: Draft, entry: CatalogueModel, place: Place, *, locked: bool) -> Iterator[Diagnostic]:
    """Let prices of a later document replace those of an earlier one, whichever way they are given."""
    if entry.prices is not None and entry.price_as is not None:
        yield problems.two_price_sources(place.at("price_as").key_span, place.at("prices").key_span)
    if entry.price_as is not None:
        draft.price_as, draft.periods = ModelReference(entry.price_as, place.at("price_as")), ()
    elif entry.prices is not None:
        found = list(examine_prices(entry.prices, place.at("prices")))
        # The prices of a lock have been reviewed, and are many.
        if not found and not locked:
            listed, at = _listed(draft), place.at("prices")
            found = list(compare_prices(entry.prices, listed, at)) if listed is not None else []
            found = found or list(find_exchanged(entry.prices, at))
        yield from found
        faulty = any(problem.is_error for problem in found)
        draft.price_as, draft.prices_settled = None, faulty or not entry.prices
        draft.periods = () if faulty else periods_from(entry.prices)
        draft.price_source = place.file


def _listed(draft: Draft) -> Model | None:
    """Return the model of the price list that an entry is about by any of its names."""
    found = (price_list.priced_alike(name, draft.provider) for name in (draft.name, *draft.aliases))
    return next(filter(None, found), None)


def _examine(entry: CatalogueModel, place: Place) -> Iterator[Diagnostic]:
    """Find what is wrong with the facts of one entry alone."""
    latency = entry.latency_ms
    if latency is not None and latency.p95 is not None and latency.p95 < latency.p50:
        yield problems.latency_order(latency.p50, latency.p95, place.at("latency_ms", "p95").span)
    if entry.quality is not None and not entry.quality:
        yield problems.empty_quality(place.at("quality").key_span)
    yield from _quality_problems(entry.quality or {}, place.at("quality"))


def _quality_problems(quality: Mapping[str, Quality], place: Place) -> Iterator[Diagnostic]:
    """Find intervals that contradict themselves."""
    for task, measured in quality.items():
        if not isinstance(measured, MeasuredQuality):
            continue
        given = {name: value for name in _INTERVAL if (value := getattr(measured, name)) is not None}
        if "low" in given and "high" in given:
            if not given["low"] <= given["value"] <= given["high"]:
                yield problems.contradictory_quality(given, place.at(task, "value").span)
        elif given.keys() != {"value"}:
            present = next(name for name in given if name != "value")
            yield problems.contradictory_quality(given, place.at(task, present).key_span)


def _examine_whole(draft: Draft) -> Iterator[Diagnostic]:
    """Find what does not fit together once everything is known of a model."""
    yield from _unpriced(draft)
    yield from _day_order(draft)
    yield from _token_limits(draft)


def _unpriced(draft: Draft) -> Iterator[Diagnostic]:
    """Report models of the document without prices; imported ones are reported where policies use them."""
    if draft.periods or draft.prices_settled or "models" not in draft.place.path[:1]:
        return
    if draft.price_as is not None:
        yield problems.unpriced(draft.name, draft.price_as.name, draft.price_as.place.span)
    else:
        yield problems.unpriced(draft.name, "", draft.place.key_span)


def _day_order(draft: Draft) -> Iterator[Diagnostic]:
    place = _given(draft, "retired", "deprecated")
    deprecated, retired = draft.facts.get("deprecated"), draft.facts.get("retired")
    if place and deprecated is not None and retired is not None and retired < deprecated:
        yield problems.retired_before_deprecated(retired, deprecated, place.span)


def _token_limits(draft: Draft) -> Iterator[Diagnostic]:
    place = _given(draft, "max_output_tokens", "context_window")
    output, context = draft.facts.get("max_output_tokens"), draft.facts.get("context_window")
    if place and output is not None and context is not None and output > context:
        yield problems.output_above_context(draft.name, output, context, place.span)


def _given(draft: Draft, *facts: str) -> Place | None:
    """Return where a document gives one of the facts for this very model; inherited ones are reported at their base."""
    return next((draft.places[fact] for fact in facts if fact in draft.places), None)


def _finish(draft: Draft, aliases: Sequence[str], names: Names) -> Model:
    """Return the model; ``aliases`` are its other names, in order."""
    facts, latency = draft.facts, draft.latency
    capabilities = facts.get("capabilities")
    return Model(
        name=draft.name,
        provider=facts.get("provider"),
        family=facts.get("family"),
        aliases=tuple(aliases),
        base=names.find(draft.base.name) if draft.base is not None else None,
        trained_for=draft.trained_for,
        periods=draft.periods,
        context_window=facts.get("context_window"),
        max_output_tokens=facts.get("max_output_tokens"),
        capabilities=None if capabilities is None else frozenset(capabilities),
        latency_p50_ms=float(latency.p50) if latency is not None else None,
        latency_p95_ms=float(latency.p95) if latency is not None and latency.p95 is not None else None,
        quality={task: _value(given) for task, given in facts.get("quality", {}).items()},
        evidence={
            task: _evidence(given)
            for task, given in facts.get("quality", {}).items()
            if isinstance(given, MeasuredQuality) and _evidence(given) != Evidence()
        },
        base_measured=draft.base_measured,
        regions=facts.get("regions"),
        external=facts.get("external", True),
        deprecated=facts.get("deprecated"),
        retired=facts.get("retired"),
        labels=facts.get("labels", {}),
        usd_per_tool_use=facts.get("usd_per_tool_use", {}),
        other_versions=tuple(facts.get("other_versions", ())),
        prompt_cache=_prompt_cache(facts.get("prompt_cache")),
        price_source=draft.price_source,
    )


def _prompt_cache(stated: PromptCacheFacts | None) -> PromptCache | None:
    if stated is None:
        return None
    lifetime = duration_of(stated.lifetime).total_seconds()
    return PromptCache(lifetime, stated.min_tokens, stated.step_tokens, stated.automatic)


def _value(quality: Quality) -> float:
    return float(quality.value if isinstance(quality, MeasuredQuality) else quality)


def _evidence(given: MeasuredQuality) -> Evidence:
    low, high = (None if limit is None else float(limit) for limit in (given.low, given.high))
    level = USUAL_LEVEL if given.level is None else float(given.level)
    return Evidence(low, high, level, given.cases, given.measured, given.source, given.data)


def _inherit_facts(drafts: Mapping[str, Draft], names: Names) -> Iterator[Diagnostic]:
    """Let each fine-tuned model have its base's facts where it has none of its own."""
    links, found = _links(drafts, names, lambda draft: draft.base)
    yield from found
    ordered, circles = _in_dependency_order(links)
    for name in ordered:
        draft, base = drafts[name], drafts[name].base
        assert base is not None, "only models with a base are linked"
        draft.base = ModelReference(links[name], base.place)
        draft.inherit(drafts[links[name]])
    for circle in circles:
        base = drafts[circle[0]].base
        assert base is not None, "only models with a base are linked"
        yield problems.cycle(circle, "is fine-tuned from", base.place.span)


def _take_prices(drafts: Mapping[str, Draft], names: Names) -> Iterator[Diagnostic]:
    """Give each model with ``price_as`` the prices of that model."""
    links, found = _links(drafts, names, lambda draft: draft.price_as)
    yield from found
    for draft in drafts.values():
        draft.prices_settled |= draft.price_as is not None and draft.name not in links
    ordered, circles = _in_dependency_order(links)
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
    drafts: Mapping[str, Draft], names: Names, reference_of: Callable[[Draft], ModelReference | None]
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


def _in_dependency_order(links: Mapping[str, str]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Order names so that each comes after the one that it takes from.

    ``links`` holds what each name takes from. The second result are the circles, each from its first name on; the
    names in them, and those that lead into them, are in no order.
    """
    ordered: list[str] = []
    done: set[str] = set()
    lost: set[str] = set()
    circles: list[tuple[str, ...]] = []
    for start in sorted(links):
        path: dict[str, None] = {}
        name = start
        while name in links and name not in done and name not in lost and name not in path:
            path[name] = None
            name = links[name]
        if name in path:
            circles.append(_from_first([*path][[*path].index(name) :]))
        if name in path or name in lost:
            lost.update(path)
        else:
            ordered.extend(reversed(path))
            done.update(path)
    return ordered, circles


def _from_first(circle: list[str]) -> tuple[str, ...]:
    first = circle.index(min(circle))
    return (*circle[first:], *circle[:first])
