"""Keys and tokens of services: those with a form of their own, those that a name announces, and those inside URLs."""

from __future__ import annotations

import re
from typing import Final

from costlens_policy.rewrites.personal_data.detector import Detector, Extent, pattern

__all__ = ["API_KEYS", "URL_CREDENTIALS"]

_FORMS: Final = (
    r"sk-[A-Za-z0-9_-]{16,}",  # OpenAI, Anthropic, OpenRouter
    r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}",  # Stripe
    r"whsec_[A-Za-z0-9+/=]{16,}",
    r"gh[pousr]_[A-Za-z0-9]{30,}",  # GitHub
    r"github_pat_[A-Za-z0-9_]{22,}",
    r"glpat-[A-Za-z0-9_-]{20,}",  # GitLab
    r"(?:AKIA|ASIA)[A-Z0-9]{16}",  # AWS
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}",  # Slack
    r"AIza[A-Za-z0-9_-]{35}",  # Google
    r"ya29\.[A-Za-z0-9_-]{20,}",
    r"hf_[A-Za-z0-9]{30,}",  # Hugging Face
    r"gsk_[A-Za-z0-9]{30,}",  # Groq
    r"r8_[A-Za-z0-9]{30,}",  # Replicate
    r"(?:xai|pplx|nvapi|tvly)-[A-Za-z0-9_-]{20,}",  # xAI, Perplexity, NVIDIA, Tavily
    r"(?:fw|vck|lin_api|shpat|dop_v1|sb_secret|lsv2_pt|lsv2_sk)_[A-Za-z0-9_]{20,}",  # Fireworks, Vercel, Linear, …
    r"dapi[a-f0-9]{32}",  # Databricks
    r"(?:ABSK[A-Za-z0-9+/=]|bedrock-api-key-[A-Za-z0-9+/=])[A-Za-z0-9+/=]{20,}",  # Amazon Bedrock
    r"GOCSPX-[A-Za-z0-9_-]{20,}",  # Google
    r"hvs\.[A-Za-z0-9_-]{20,}",  # HashiCorp Vault
    r"xapp-[0-9]-[A-Za-z0-9-]{16,}",  # Slack
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-[A-Za-z0-9_-]{50,}",
    r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",  # SendGrid
    r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*",  # JSON web tokens
)
_LABELS: Final = (
    "api[_-]?key", "access[_-]?key", "secret[_-]?key", "access[_-]?token", "auth[_-]?token", "client[_-]?secret",
)  # fmt: skip
_BEFORE_VALUE: Final = re.compile(rb"[ \t]+|[\"']?[ \t]*[:=][ \t]*[\"']?")


def _accept_form(data: bytes, start: int, end: int) -> Extent | None:
    """Refuse words joined by hyphens, which look like a key without a digit."""
    return (start, end) if _has_digit(data[start:end]) else None


def _accept_value(data: bytes, start: int, end: int) -> Extent | None:
    """Return the value behind the name."""
    before = _BEFORE_VALUE.search(data, start, end)
    if before is None or not _has_digit(data[before.end() : end]):
        return None
    return before.end(), end


def _has_digit(text: bytes) -> bool:
    return any(0x30 <= byte <= 0x39 for byte in text)


API_KEYS: Final = (
    Detector(pattern(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)-----END [A-Z ]*PRIVATE KEY-----")),
    Detector(pattern(rf"\b(?:{'|'.join(_FORMS)})"), _accept_form, lengthy=True),
    Detector(pattern(r"(?i)\b(?:bearer|basic)[ \t]+[A-Z0-9._~+/=-]{16,}"), _accept_value, lengthy=True),
    Detector(
        pattern(rf"(?i)(?:{'|'.join(_LABELS)})[\"']?[ \t]*[:=][ \t]*[\"']?[A-Z0-9._~+/=-]{{16,}}"),
        _accept_value,
        lengthy=True,
    ),
)


def _accept_credentials(data: bytes, start: int, end: int) -> Extent | None:
    """Return what stands between ``://`` and ``@``."""
    return data.index(b"://", start, end) + 3, end - 1


URL_CREDENTIALS: Final = Detector(
    pattern(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#\"'<>\[\]:@]*:[^\s/?#\"'<>\[\]]+@"), _accept_credentials, lengthy=True
)
