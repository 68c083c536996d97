"""Codes are unique, named, and explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from costlens_policy.diagnostics import codes
from costlens_policy.diagnostics.codes import CODES

_PAGES = Path(__file__).resolve().parents[2] / "docs" / "codes"


def test_no_code_is_declared_twice_and_no_name_twice_in_a_phase() -> None:
    phases = [value for name, value in vars(codes).items() if re.fullmatch("_[A-Z_]+", name)]
    declared = [code for phase in phases for code in phase]
    assert len({code.id for code in declared}) == len(declared) == len(CODES)
    assert len({(code.id[:3], code.name) for code in declared}) == len(declared)


@pytest.mark.parametrize("code", CODES.values(), ids=lambda code: code.id)
def test_a_code_reads_well(code: codes.Code) -> None:
    assert re.fullmatch(r"CL[0-9]{3}", code.id)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code.name)
    assert not code.title.endswith(".")


@pytest.mark.parametrize("code", [code for code in CODES.values() if code.id < "CL1"], ids=lambda code: code.id)
def test_codes_of_source_files_have_their_page(code: codes.Code) -> None:
    page = (_PAGES / f"{code.id}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {code.id}: {code.title}\n")
