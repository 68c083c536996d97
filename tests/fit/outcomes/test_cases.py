"""Cases and outcomes as values: parts, digests, and which prompts are equal."""

from __future__ import annotations

import pytest

from costlens_policy.fit.outcomes import Case, Outcomes, OutcomesError, group_of


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


def _prompted(*prompts: str) -> Outcomes:
    cases = tuple(Case(str(at), None, prompt, None, group_of(prompt)) for at, prompt in enumerate(prompts))
    return Outcomes(cases, {"small": (1.0,) * len(cases)}, {}, {}, {})


def test_what_was_fitted_on_is_kept_apart_and_counted() -> None:
    holdout = _prompted("Hello", "Sort this", "HELLO")
    apart = holdout.apart_from(_prompted("hello", "Sum this"))
    assert [case.prompt for case in apart.cases] == ["Sort this"]
    assert [str(note) for note in apart.notes.dropped] == ["cases of the fitting data, too: 2 (first: 0, 2)"]
    assert apart.notes.scores == 1
    assert holdout.apart_from(_prompted("other")) is holdout
    with pytest.raises(OutcomesError, match="every case is a case of the fitting data"):
        holdout.apart_from(holdout)
