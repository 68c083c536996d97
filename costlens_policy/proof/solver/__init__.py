"""Goals given to the solver z3, which decides what critical values do not: texts, sums, times, patterns."""

from costlens_policy.proof.solver.goals import Impossible, Possible, Solver, Unsolved

__all__ = ["Impossible", "Possible", "Solver", "Unsolved"]
