"""Personal data and secrets in texts, by kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from costlens_policy.rewrites.personal_data.addresses import EMAIL, EMAIL_SPELLED, IPV4, IPV6
from costlens_policy.rewrites.personal_data.detector import Detector, Extent, any_of
from costlens_policy.rewrites.personal_data.numbers import CREDIT_CARD, IBAN, US_SSN, US_SSN_NAMED
from costlens_policy.rewrites.personal_data.phone import PHONES, numbers_of
from costlens_policy.rewrites.personal_data.secrets import API_KEYS, URL_CREDENTIALS
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
    """Return how a kind is found, phone numbers also by the numbering plans of countries."""
    if kind != "phone" or not regions:
        return DETECTORS[kind]
    return (*DETECTORS[kind], numbers_of(regions))
