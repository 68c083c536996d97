"""Personal data and secrets in texts, by kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from costlens_policy.rewrites.personal_data.cards import CREDIT_CARD
from costlens_policy.rewrites.personal_data.detector import Detector, Extent, any_of
from costlens_policy.rewrites.personal_data.email import EMAIL, EMAIL_SPELLED
from costlens_policy.rewrites.personal_data.ibans import IBAN
from costlens_policy.rewrites.personal_data.keys import API_KEYS
from costlens_policy.rewrites.personal_data.networks import IPV4, IPV6, URL_CREDENTIALS
from costlens_policy.rewrites.personal_data.phone import PHONES
from costlens_policy.rewrites.personal_data.ssn import US_SSN, US_SSN_NAMED
from costlens_policy.rewrites.personal_data.view import View, blanked, in_characters

__all__ = ["DETECTORS", "Detector", "Extent", "View", "any_of", "blanked", "detectors_of", "in_characters"]

DETECTORS: Final[Mapping[str, tuple[Detector, ...]]] = {
    "url_credentials": (URL_CREDENTIALS,),
    "api_key": API_KEYS,
    "credit_card": (CREDIT_CARD,),
    "iban": (IBAN,),
    "us_ssn": (US_SSN, US_SSN_NAMED),
    "email": (EMAIL, EMAIL_SPELLED),
    "ipv6": (IPV6,),
    "ipv4": (IPV4,),
    "phone": PHONES,
}
"""How each kind is found. Where two kinds overlap, the one that comes first here has it."""


def detectors_of(kind: str, regions: tuple[str, ...]) -> tuple[Detector, ...]:
    """Return how a kind is found, telephone numbers also by the numbering plans of countries."""
    if kind != "phone" or not regions:
        return DETECTORS[kind]
    from costlens_policy.rewrites.personal_data.numbering import numbers_of  # few policies name countries

    return (*DETECTORS[kind], numbers_of(regions))
