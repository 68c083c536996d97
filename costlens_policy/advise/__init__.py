"""Advice: prompting, a smaller model, fine-tuning or some of each, from a workload and a policy."""

from __future__ import annotations

from costlens_policy.advise.advice import Advice, advise

__all__ = ["Advice", "advise"]
