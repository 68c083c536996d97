"""The command ``costlens-policy``. Commands are thin; what they need is imported when they run."""

from __future__ import annotations

from costlens_policy.cli.app import main

__all__ = ["main"]
