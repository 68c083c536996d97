"""The scripts that run on the server, with their digests."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Final

__all__ = ["OPEN", "SCRIPTS"]

_FOLDER: Final = files("costlens_policy.ledger.redis") / "lua"
_NAMES: Final = (
    "adjust", "balances", "calls", "claim_alert", "extend", "finish_alert", "release", "reservation", "reserve",
    "settle", "spans", "take_alerts",
)  # fmt: skip


def _text(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")


def _script(name: str) -> tuple[str, str]:
    source = _text("prelude") + _text(name)
    return source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


OPEN: Final = _text("open")
"""Makes the ledger or finds it."""
SCRIPTS: Final = {name: _script(name) for name in _NAMES}
"""Source and digest of each script."""
