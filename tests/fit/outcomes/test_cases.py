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


def _case(id: str, prompt: str | None = None, task: str | None = "chat") -> Case:
    return Case(id, task, prompt, None, id if prompt is None else group_of(prompt))


def _of(*cases: Case) -> Outcomes:
    return Outcomes(cases, {"small": (1.0,) * len(cases)}, {}, {}, {})


@pytest.mark.parametrize(
    ("fitted", "aside", "same"),
    [
        (_case("1", "Hello"), _case("1"), True),
        (_case("1"), _case("1", "Hello"), True),
        (_case("1"), _case("1"), True),
        (_case("chat/1", "Hello"), _case("1"), True),
        (_case("1", "Hello"), _case("1", task=None), True),
        (_case("1", task=None), _case("1", "Hello"), True),
        (_case("1", "Hello"), _case("1", "Sort this"), False),
        (_case("1", "Hello", task="sort"), _case("1"), False),
        (_case("1", "Hello"), _case("2"), False),
    ],
)
def test_a_case_without_a_prompt_is_known_by_its_id_and_task(fitted: Case, aside: Case, same: bool) -> None:
    apart = _of(aside, _case("new", "Sum this")).apart_from(_of(fitted))
    assert [case.id for case in apart.cases] == ([] if same else [aside.id]) + ["new"]
    assert [note.count for note in apart.notes.dropped] == [1] * same


def test_cases_that_only_ids_tell_apart_are_noted() -> None:
    apart = _of(_case("1"), _case("2"), _case("3", "Hello")).apart_from(_of(_case("1", "Sum this")))
    assert [str(note) for note in apart.notes.remarks] == [
        "cases kept apart from those of the fitting data by their ids alone, as prompts are missing: 1 (first: 2)"
    ]
