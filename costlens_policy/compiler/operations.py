"""Operations of rewrites, routes and thresholds as steps that can be applied."""

from __future__ import annotations

from collections.abc import Sequence

from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.formulas import Formulas
from costlens_policy.documents.rewrites import Operation
from costlens_policy.expressions import Value
from costlens_policy.expressions.runtime import CelError
from costlens_policy.frozen import frozen
from costlens_policy.rewrites import RewriteStep, compile_operation
from costlens_policy.source.located import Path
from costlens_policy.tokens import Tokenizer

__all__ = ["compile_operations", "read_model"]


@frozen
class _InLayer:
    """An expression that is given the variables of all layers and reads those of its own."""

    formula: Formula
    layer: int

    def __call__(self, request: Value, variables: Sequence[Value], *others: Value) -> Value:
        try:
            return self.formula.evaluate(request, variables[self.layer], *others)
        except CelError as error:
            error.origin = error.origin or self.formula
            raise


def compile_operations(
    operations: tuple[Operation, ...], at: Path, formulas: Formulas, tokenizer: Tokenizer, layer: int
) -> tuple[RewriteStep, ...]:
    """Return the operations that stand at a path as steps, whose expressions read the variables of a layer."""
    steps = []
    for index, operation in enumerate(operations):
        inside = formulas.below((*at, index))
        values = {str(path[-1]): _InLayer(formula, layer) for path, formula in inside.items()}
        steps.append(compile_operation(operation, values, tokenizer))
    return tuple(steps)


def read_model(formulas: Formulas, at: Path) -> bool:
    """Return whether what operations write differs by candidate."""
    return any(value.reads("model") for value in formulas.below(at).values())
