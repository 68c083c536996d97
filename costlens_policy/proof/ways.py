"""What may become of a request: every deny that may refuse it, and every model that may serve it on every route.

Each way has a goal that a request meets if it goes that way. The goal may ask for less than the engine does, so that
requests may meet it which go another way, but never for more: where nothing meets it, nothing goes that way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance import Every, Goal, Not, Rule, Some, Subject
from costlens_policy.catalogue import Model
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.priced_models import PricedModel
from costlens_policy.compiler.rules import AccessStep, ByChoice, ByExpression, ByName, RouteStep
from costlens_policy.frozen import frozen
from costlens_policy.proof.conditions import condition_from

__all__ = [
    "ALWAYS",
    "UNLISTED",
    "Way",
    "admitted",
    "allowed",
    "asked_of",
    "named",
    "priced_model",
    "reaching",
    "refusals",
    "refusing",
    "servings",
]

ALWAYS: Final[Goal] = Every(())
_MOST_NAMES: Final = 400
UNLISTED: Final = "(a model that the catalogue does not list)"
"""In the place of a model's name, where a caller may ask for any."""


@frozen(eq=False)
class Way:
    """One way: ``model`` serves it on a route, or ``rule`` refuses it.

    ``step`` is the route as it is for the share that is drawn or the way out that is taken. ``exact`` says that
    requests go this way if, and only if, they meet the goal.
    """

    goal: Goal
    rule: str
    model: str = ""
    step: RouteStep | None = None
    exact: bool = False

    @property
    def serves(self) -> bool:
        return self.model != ""


def refusals(subject: Subject) -> Iterator[Way]:
    """Yield how access refuses requests, exactly."""
    before: list[Goal] = []
    for rule, refuses in refusing(subject):
        yield Way(Every([refuses, *before]), rule.id, exact=True)
        before.append(Not(refuses))
    if not subject.plan.defaults.allows:
        yield Way(Every([*before, Not(allowed(subject))]), "default", exact=True)


def reaching(subject: Subject, route: Rule, *, failing: bool = False) -> Goal:
    """Return that a request comes to a route and matches it, or, with ``failing``, that its condition fails.

    An earlier route that may pass requests on is not asked.
    """
    known = subject.once(_goals)
    if (route.id, failing) not in known:
        known[route.id, failing] = _reaching(subject, route, failing)
    return known[route.id, failing]


def _goals(_: Subject) -> dict[tuple[str, bool], Goal]:
    """Return where the goals of one policy set are kept: what was worked out of a goal is kept with it."""
    return {}


def _reaching(subject: Subject, route: Rule, failing: bool) -> Goal:
    before: list[Goal] = []
    for other in subject.rules["routes"]:
        if other is route:
            break
        if not other.passes_on:
            before.append(other.otherwise)
    passes: list[Goal] = [Not(refuses) for _, refuses in refusing(subject)]
    if not subject.plan.defaults.allows:
        passes.append(allowed(subject))
    fails = failing and route.layer < len(subject.plan.layers) and subject.plan.layers[route.layer].on_error == "deny"
    return Every([subject.condition(route.when, route.layer, fails), *passes, *before])


def allowed(subject: Subject) -> Goal:
    """Return that an access rule allows the request, or some model."""
    allows = [rule for rule in subject.rules["access"] if not _step(rule).denies]
    return Some([subject.condition(rule.when, rule.layer) for rule in allows])


def _step(rule: Rule) -> AccessStep:
    assert isinstance(rule.step, AccessStep)
    return rule.step


def refusing(subject: Subject) -> Iterator[tuple[Rule, Goal]]:
    """Yield the access rules that may refuse a request, in order, and when they do: an allow, where it fails."""
    for rule in subject.rules["access"]:
        step = _step(rule)
        if step.by_model:
            continue
        if step.denies:
            yield rule, rule.goal
        elif step.when is not None and subject.plan.layers[rule.layer].on_error == "deny":
            yield rule, Every([rule.goal, Not(subject.condition(step.when, rule.layer))])


def servings(subject: Subject, route: Rule) -> Iterator[Way]:
    """Yield the models that may serve on a route, or be fallbacks there, wherever they come from."""
    assert isinstance(route.step, RouteStep)
    reached = reaching(subject, route)
    found: dict[str, list[tuple[Goal, RouteStep]]] = {}
    for name, goal, step in named(subject, route.step):
        found.setdefault(name, []).append((goal, step))
    for name, sources in found.items():
        goal = Some([goal for goal, _ in sources])
        if name == UNLISTED:
            yield Way(Every([goal, reached]), route.id, name, sources[0][1])
        elif not priced_model(subject, name).refusal:
            asked = [item for _, item in admitted(subject, name)]
            yield Way(Every([goal, *asked, reached]), route.id, name, sources[0][1])


def priced_model(subject: Subject, name: str) -> PricedModel:
    """Return a model on the day of a subject, also one that the catalogue does not list."""
    day = subject.now.date()
    return subject.plan.snapshots.on(day).get(name) or subject.plan.snapshots.of(Model(name), day)


def admitted(subject: Subject, name: str) -> Iterator[tuple[Rule, Goal]]:
    """Yield the access rules about models, and what each asks of a model, exactly; ``allowed`` comes beside them."""
    for rule in subject.rules["access"]:
        step = _step(rule)
        if not step.by_model:
            continue
        holds = subject.condition(step.when, rule.layer)
        asked: list[Goal] = []
        if subject.plan.layers[rule.layer].on_error == "deny" and step.when is not None:
            asked.append(Not(Every([rule.goal, Not(holds)])))  # it fails, which refuses the model
        if step.only is not None:
            asked.append(Some([Not(holds), subject.condition(step.only, rule.layer)]))
        elif step.denies and name not in step.only_models:
            asked.append(Not(holds))
        yield rule, Every(asked)


def named(subject: Subject, step: RouteStep) -> Iterator[tuple[str, Goal, RouteStep]]:
    """Yield the models that a route may try, each with what is asked of it there."""
    target = step.target
    if isinstance(target, ByName):
        yield from ((name, ALWAYS, step) for name in target.models)
    elif isinstance(target, ByExpression):
        yield from _asked(subject, step, target.model)
        yield from ((name, ALWAYS, step) for name in target.fallbacks)
    elif isinstance(target, ByChoice):
        yield from _chosen(subject, step, target)
    else:
        for index, share in enumerate(target.shares):
            if target.bounds[index] > (target.bounds[index - 1] if index else 0):
                yield from named(subject, share)
    yield from ((name, ALWAYS, step) for name in _added(subject) if not step.binds_downgrades or name in step.beside)
    if step.on_none is not None and step.on_none.route is not None:
        yield from named(subject, step.on_none.route)


def _added(subject: Subject) -> Iterator[str]:
    """Yield the models that thresholds of budgets may add."""
    for layer in subject.plan.layers:
        for budget in layer.budgets:
            if not budget.shadow:
                yield from (name for threshold in budget.thresholds for name in threshold.models)


def _chosen(subject: Subject, step: RouteStep, target: ByChoice) -> Iterator[tuple[str, Goal, RouteStep]]:
    among = subject.condition(target.among, step.layer)
    for name in target.models:
        if _qualifies(priced_model(subject, name), target):
            yield name, among, step
    for name in target.fallbacks:
        if not step.binds_fallbacks:
            yield name, ALWAYS, step
        elif _qualifies(priced_model(subject, name), target):
            yield name, among, step


def _qualifies(priced: PricedModel, target: ByChoice) -> bool:
    """Say whether a model keeps to the limits of a choice that do not depend on the call."""
    limits, model = target.limits, priced.model
    if limits.requires - (model.capabilities or frozenset()):
        return False
    latency = model.latency_p50_ms
    if limits.max_latency_ms is not None and (latency is None or latency > limits.max_latency_ms):
        return False
    if limits.min_quality is None and limits.within is None:
        return True
    least, known = limits.min_quality or 0.0, priced.view[limits.quality]
    return isinstance(known, dict) and any(quality >= least for quality in known.values())


def _asked(subject: Subject, step: RouteStep, formula: Formula) -> Iterator[tuple[str, Goal, RouteStep]]:
    unlisted = not priced_model(subject, "unlisted").refusal
    yield from ((name, goal, step) for name, goal in asked_of(subject, step, formula) if name != UNLISTED or unlisted)


def asked_of(subject: Subject, step: RouteStep, formula: Formula) -> Iterator[tuple[str, Goal]]:
    """Yield the models that an expression may name, one that is not listed last. What is another one's name is not
    this one's.
    """
    catalogue = subject.plan.catalogue
    names = {model.name: {model.name, *model.aliases} for model in catalogue}
    every = set().union(*names.values())
    for name, own in names.items():
        yield name, _none_of(subject, step, formula, every - own)
    yield UNLISTED, _none_of(subject, step, formula, every)


def _none_of(subject: Subject, step: RouteStep, formula: Formula, names: set[str]) -> Goal:
    """Return that an expression gives none of some names."""
    if len(names) > _MOST_NAMES:
        return ALWAYS
    listed = ", ".join(f'"{name}"' for name in sorted(names))
    return condition_from(subject, formula, f"!(({formula.source}) in [{listed}])", step.layer)
