"""Bundles: a policy set in one file, with the prices that it decides by and its compiled plan, which can be signed.

**What is in a file.** An uncompressed tar archive: ``manifest.json``, which lists all else with its SHA-256, the
policies and suites, their catalogue with every price written out (a lock), the plan, and a signature where somebody
has signed it. Equal inputs give equal bytes on every machine: no times, owners or compression are in it.

**What is read.** Nothing but what ``build`` writes: an archive is taken apart, put together again, and refused unless
the bytes are the same. So there is no second way to read a file, no entry that leaves its folder, and nothing that
unfolds to more than the file's size.

**Whom to trust.** A bundle decides, as policies do. ``Trust`` says whose signatures count, which is configuration of
whoever loads it; what a bundle says about its signature only helps to report why it is refused. The plan of a bundle is
used only where its signature was verified: signing compares it with the policies. Otherwise they are compiled anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlens_policy.on_demand import on_demand

if TYPE_CHECKING:
    from costlens_policy.bundles.bundle import Bundle, Manifest, open_bundle
    from costlens_policy.bundles.errors import BundleError
    from costlens_policy.bundles.packing import build
    from costlens_policy.bundles.signing import Signature, SigningKey, sign
    from costlens_policy.bundles.trust import Trust

__all__ = [
    "Bundle", "BundleError", "Manifest", "Signature", "SigningKey", "Trust", "build", "open_bundle", "sign",
]  # fmt: skip

__getattr__ = on_demand(
    __name__,
    {
        "Bundle": "costlens_policy.bundles.bundle",
        "BundleError": "costlens_policy.bundles.errors",
        "Manifest": "costlens_policy.bundles.bundle",
        "Signature": "costlens_policy.bundles.signing",
        "SigningKey": "costlens_policy.bundles.signing",
        "Trust": "costlens_policy.bundles.trust",
        "build": "costlens_policy.bundles.packing",
        "open_bundle": "costlens_policy.bundles.bundle",
        "sign": "costlens_policy.bundles.signing",
    },
)
