"""What a policy set promises: invariants proved or refuted, for every request, budget state and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlens_policy.on_demand import on_demand

if TYPE_CHECKING:
    from costlens_policy.proof.comparison import Comparison, Difference, Stage, compare
    from costlens_policy.proof.proofs import Proof, Proofs, examine_invariants, prove
    from costlens_policy.proof.verdicts import Holds, Refuted, Unknown, Vacuous, Verdict

__all__ = [
    "Comparison", "Difference", "Holds", "Proof", "Proofs", "Refuted", "Stage", "Unknown", "Vacuous", "Verdict",
    "compare", "examine_invariants", "prove",
]  # fmt: skip

__getattr__ = on_demand(
    __name__,
    {
        **dict.fromkeys(["Comparison", "Difference", "Stage", "compare"], "costlens_policy.proof.comparison"),
        **dict.fromkeys(["Proof", "Proofs", "examine_invariants", "prove"], "costlens_policy.proof.proofs"),
        **dict.fromkeys(["Holds", "Refuted", "Unknown", "Vacuous", "Verdict"], "costlens_policy.proof.verdicts"),
    },
)
