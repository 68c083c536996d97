"""What a policy set promises: invariants proved or refuted, for every request, budget state and time.

from costlens_policy.proof import Refuted, compare, prove

proved = prove(["policies"])
[(proof.invariant.title, proof.verdict.witness.request) for proof in proved.of(Refuted)]
{stage.name: stage.verdict for stage in compare("main/policies", "policies").stages}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlens_policy.on_demand import on_demand

if TYPE_CHECKING:
    from costlens_policy.proof.proofs import Proof, Proofs, prove
    from costlens_policy.proof.verdicts import Holds, Refuted, Unknown, Vacuous
    from costlens_policy.proof.versions.comparison import Comparison, compare
    from costlens_policy.proof.versions.differences import Difference, Stage

__all__ = [
    "Comparison", "Difference", "Holds", "Proof", "Proofs", "Refuted", "Stage", "Unknown", "Vacuous",
    "compare", "prove",
]  # fmt: skip

__getattr__ = on_demand(
    __name__,
    {
        **dict.fromkeys(["Comparison", "compare"], "costlens_policy.proof.versions.comparison"),
        **dict.fromkeys(["Difference", "Stage"], "costlens_policy.proof.versions.differences"),
        **dict.fromkeys(["Proof", "Proofs", "prove"], "costlens_policy.proof.proofs"),
        **dict.fromkeys(["Holds", "Refuted", "Unknown", "Vacuous"], "costlens_policy.proof.verdicts"),
    },
)
