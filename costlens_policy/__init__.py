"""Policy as code for LLM cost and routing."""

from __future__ import annotations

__version__ = "0.1.0"
