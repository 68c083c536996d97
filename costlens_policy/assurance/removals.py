"""Fixes that are certain: what no request can tell from its absence is removed."""

from __future__ import annotations

from costlens_policy.assurance.domain.trees import Atom
from costlens_policy.assurance.subject import Rule
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Edit
from costlens_policy.expressions.tree import Call, Logic, Node
from costlens_policy.source.edits import replacing_part, without_value

__all__ = ["without_operand", "without_rule"]


def without_rule(rule: Rule) -> tuple[Edit, ...]:
    """Return the edit that removes a rule that changes nothing; none where it is the only one of its section."""
    return _one(without_value(rule.place.document.located, rule.place.path))


def without_operand(rule: Rule, atom: Atom, always: bool) -> tuple[Edit, ...]:
    """Return the edit that removes an operand of ``&&`` that always holds, or of ``||`` that never does.

    There is none for a part of a variable, which other rules may read.
    """
    if rule.when is None or atom.formula.source != rule.when.source:
        return ()
    found = _with_operand(rule.when.typed.root, atom.formula.typed.root)
    if found is None or found[0].operator != ("&&" if always else "||"):
        return ()
    start, end = _extent(rule.when.source, *found)
    return _one(replacing_part(rule.place.document.located, rule.place.at("when").path, start, end, ""))


def _one(edit: Edit | None) -> tuple[Edit, ...]:
    return () if edit is None else (edit,)


def _with_operand(root: Node, part: Node) -> tuple[Logic, int] | None:
    """Return the junction that a part is an operand of, negated or not, and which one."""
    for node in nodes_of(root):
        for at, operand in enumerate(node.operands if isinstance(node, Logic) else ()):
            inner = operand.arguments[0] if isinstance(operand, Call) and operand.function == "!_" else operand
            if isinstance(node, Logic) and inner.extent == part.extent:
                return node, at
    return None


def _extent(source: str, junction: Logic, at: int) -> tuple[int, int]:
    """Return the characters of an operand with its operator; of brackets around it, as many open as close."""
    operands = junction.operands
    if at == 0:
        start, end = operands[0].extent.start, operands[1].extent.start
    else:
        start, end = operands[at - 1].extent.end, operands[at].extent.end
    while _open(source[start:end]) > 0 and at > 0 and source[end : end + 1] in (")", " "):
        end += 1
    while _open(source[start:end]) < 0 and at > 0:
        start += 1
    while _open(source[start:end]) > 0 and at == 0:
        end -= 1
    while _open(source[start:end]) < 0 and at == 0 and start > 0 and source[start - 1] in ("(", " "):
        start -= 1
    return start, end


def _open(text: str) -> int:
    return text.count("(") - text.count(")")
