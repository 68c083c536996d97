"""Where the critical values of a place do not stand for all that conditions can tell apart together.

The values of each place are made for one test after the other. Tests of different kinds on one place, such as a prefix
and a size, can be met by values that are not among them: then finding nothing proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from datetime import datetime
from itertools import pairwise
from typing import Final

from costlens_policy.assurance import Goal
from costlens_policy.assurance.domain import Domain, atoms_of
from costlens_policy.assurance.domain.trees import Atom, Read, Use
from costlens_policy.checker.reads import nodes_of
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import Plan
from costlens_policy.expressions.tree import Call, Comprehension, Index, Select

__all__ = ["doubt_about", "may_fail"]

_MOST_MEMBERS: Final = 6


def doubt_about(plan: Plan, domain: Domain, goal: Goal) -> str:
    """Return why finding nothing that meets a goal does not prove that there is nothing; empty where it does."""
    atoms = list(dict.fromkeys(atoms_of(goal)))
    for atom in atoms:
        for read in atom.reads:
            if why := _doubt_of(plan, domain, read):
                return why
    return _doubt_of_times(domain, atoms)


def _doubt_of(plan: Plan, domain: Domain, read: Read) -> str:
    if read[0] == "budgets":
        return _doubt_of_budget(plan, read)
    if read[0] != "request" or (use := domain.uses.by_read.get(read)) is None:
        return ""
    attribute = plan.attributes.get(read[1]) if len(read) == 2 else None
    name = ".".join(read)
    if attribute is not None and attribute.max_size is not None and not attribute.values:
        return f"`{name}` is of bounded size"
    kinds = {
        "its size": bool(use.sizes),
        "its parts": bool(use.prefixes or use.suffixes or use.members or use.has_children),
        "its case": bool(use.functions),
    }
    asked = [kind for kind, is_asked in kinds.items() if is_asked]
    if len(asked) > 1 or (use.sizes and use.literals):
        return f"conditions ask about `{name}` in several ways at once"
    if use.functions and len({str(value).lower() for value in use.literals}) < len(use.literals):
        return f"conditions compare `{name}` with texts that differ in case only"
    if (use.prefixes or use.suffixes) and not _stands_for_parts(use, domain.values(read)):
        return f"conditions ask for the beginning or end of `{name}`"
    if len(use.members) > _MOST_MEMBERS:
        return f"very many elements are looked for in `{name}`"
    return ""


def _stands_for_parts(use: Use, values: Sequence[object]) -> bool:
    """Say whether there is a text for each beginning and end, beyond what is named, that has no longer one of these."""
    texts = [value for value in values if isinstance(value, str) and value not in use.literals]
    turned = [text[::-1] for text in texts]
    return _has_each(use.prefixes, texts) and _has_each({part[::-1] for part in use.suffixes}, turned)


def _has_each(prefixes: Set[str], texts: Sequence[str]) -> bool:
    for prefix in prefixes:
        longer = tuple(other for other in prefixes if other != prefix and other.startswith(prefix))
        if not any(text.startswith(prefix) and not text.startswith(longer) for text in texts):
            return False
    return True


def _doubt_of_budget(plan: Plan, read: Read) -> str:
    """Return why a state of a budget may fail to be read, or to be there."""
    if len(read) != 2:
        return "`budgets` is read as a whole"
    _, step = plan.budgets[read[1]]
    if may_fail(plan, step.scope) or (isinstance(step.limit, Formula) and may_fail(plan, step.limit)):
        return f"the scope or limit of budget `{step.id}` may fail"
    return ""


def may_fail(plan: Plan, formula: Formula | None) -> bool:
    """Say whether an expression may fail; anything but a choice of what is surely there may."""
    if formula is None:
        return False
    fine = {"orValue", "_?_:_", "_==_", "_!=_", "@in"}
    for node in nodes_of(formula.typed.root):
        if isinstance(node, Call) and node.function not in fine:
            return True
        if isinstance(node, Select) and not node.optional and not _is_there(plan, node):
            return True
        if isinstance(node, Comprehension) or (isinstance(node, Index) and not node.optional):
            return True
    return False


def _is_there(plan: Plan, node: Select) -> bool:
    attribute = plan.attributes.get(node.field)
    return attribute is not None and (attribute.default is not None or node.field in plan.required)


def _doubt_of_times(domain: Domain, atoms: list[Atom]) -> str:
    """Return why the times that are tried do not stand for all, beyond what the domain knows itself."""
    use = domain.uses.by_read.get(("now",))
    reading = [atom for atom in atoms if ("now",) in atom.reads]
    if use is None or not reading:
        return ""
    named = sorted(value for value in use.literals if isinstance(value, datetime))
    if any((after - before).total_seconds() < 3 for before, after in pairwise(named)):
        return "conditions compare `now` with times next to each other"
    return ""
