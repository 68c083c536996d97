"""What a policy set promises: invariants proved or refuted, for every request, budget state and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlens_policy.on_demand import on_demand

if TYPE_CHECKING:
    from costlens_policy.proof.proofs import Proof, Proofs, examine_invariants, prove
    from costlens_policy.proof.verdicts import Holds, Refuted, Unknown, Vacuous, Verdict
    from costlens_policy.proof.versions.comparison import Comparison, compare
    from costlens_policy.proof.versions.differences import Difference, Stage

__all__ = [
    "Comparison", "Difference", "Holds", "Proof", "Proofs", "Refuted", "Stage", "Unknown", "Vacuous", "Verdict",
    "compare", "examine_invariants", "prove",
]  # fmt: skip

__getattr__ = on_demand(
    __name__,
    {
        **dict.fromkeys(["Comparison", "compare"], "costlens_policy.proof.versions.comparison"),
        **dict.fromkeys(["Difference", "Stage"], "costlens_policy.proof.versions.differences"),
        **dict.fromkeys(["Proof", "Proofs", "examine_invariants", "prove"], "costlens_policy.proof.proofs"),
        **dict.fromkeys(["Holds", "Refuted", "Unknown", "Vacuous", "Verdict"], "costlens_policy.proof.verdicts"),
    },
)
