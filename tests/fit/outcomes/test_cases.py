"""Cases and outcomes as values: parts, digests, and which prompts are equal."""

from __future__ import annotations

from costlens_policy.fit.outcomes import Case, Outcomes, group_of


def _outcomes(ids: str, scores: list[float | None]) -> Outcomes:
    cases = tuple(Case(name, "chat", None, None, name) for name in ids)
    return Outcomes(cases, {"small": tuple(scores)}, {}, {}, {})


def test_the_digest_is_of_the_content_and_not_of_its_order() -> None:
    assert _outcomes("ab", [1.0, None]).digest == _outcomes("ba", [None, 1.0]).digest
    assert _outcomes("ab", [1.0, None]).digest != _outcomes("ab", [1.0, 0.0]).digest


def test_a_part_has_its_cases_with_their_scores() -> None:
    part = _outcomes("abc", [1.0, 0.5, 0.0]).part([2, 0])
    assert [case.id for case in part.cases] == ["c", "a"]
    assert part.scores == {"small": (0.0, 1.0)}
    assert part.models == ("small",)
    assert part.tasks == ("chat",)


def test_prompts_are_equal_whatever_their_case_blanks_and_quotes() -> None:
    assert group_of("Janet\u2019s ducks\n lay") == group_of("janet's  ducks lay ")
    assert group_of("1 + 1") != group_of("1 - 1")
