from __future__ import annotations

from decimal import Decimal

import pytest

from costlens_policy.testing.matrix import UnknownAxisError, fill

AXES = {"tier": "gold", "n": 3, "on": True, "cost": Decimal("0.50"), "row": {"team": "core", "tags": ["a"]}, "a.b": 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${tier}", "gold"),
        ("${n}", 3),
        ("${row.tags}", ["a"]),
        ("${a.b}", 1),
        ("${tier} gets ${n} for ${cost}: ${on}", "gold gets 3 for 0.50: true"),
        ("$${tier} and ${row.team}", "${tier} and core"),
        ("$${tier}", "${tier}"),
        ("no placeholder, $5", "no placeholder, $5"),
    ],
)
def test_texts_are_filled_in(text: str, value: object) -> None:
    assert fill(text, AXES) == value


def test_placeholders_are_filled_in_at_any_depth() -> None:
    template = {"request": {"tags": ["${tier}", {"x": "${n}"}], "n": 1}}
    assert fill(template, AXES) == {"request": {"tags": ["gold", {"x": 3}], "n": 1}}


@pytest.mark.parametrize("name", ["teir", "", "row.nothing", "tier.x", "x.y.z", "row" + ".a" * 20_000])
def test_an_unknown_axis_is_an_error_with_its_place(name: str) -> None:
    with pytest.raises(UnknownAxisError) as caught:
        fill({"a": ["", f"<${{{name}}}>"]}, AXES)
    assert (caught.value.name, caught.value.path, caught.value.start) == (name, ("a", 1), 3)
