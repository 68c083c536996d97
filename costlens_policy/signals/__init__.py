"""Signals: what is worked out from the text of a request, by words, examples, its form, or a learned model.

A signal is declared in a document of ``kind: Signals`` and evaluated at most once for a decision, and only where a rule
reads it. Everything here is a pure function of a text.
"""

from __future__ import annotations

from costlens_policy.signals.signal import Kind, Signal
from costlens_policy.signals.texts import Reads, text_of
from costlens_policy.signals.weighed import ABSENT, Value, Weighed

__all__ = ["ABSENT", "Kind", "Reads", "Signal", "Value", "Weighed", "text_of"]
