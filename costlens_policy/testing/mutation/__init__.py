"""Mutation testing: are the cases of a policy set good enough to notice a small change of it?

A mutant is the policy set with one change (``conditions``, ``rules``), made in its text (``pen``). Its cases are tried
on it (``bench``); what none of them kills is left out where it is proved to be equivalent (``equivalence``), and else
shown with the request that would kill it (``kills``).
"""

from __future__ import annotations

__all__: list[str] = []
