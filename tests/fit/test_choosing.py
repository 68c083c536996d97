"""Choices by what a right answer is worth, and the split of cases into parts."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from costlens_policy.fit.choosing import folds_of, holdout_of, means_of, worths_of
from costlens_policy.fit.outcomes import OutcomesError
from tests.fit.drawn import CHANCES, measurements


def test_a_right_answer_that_is_worth_more_takes_better_models() -> None:
    means = means_of(measurements())
    names = ("large", "small", "tiny")
    chosen = {worth: [names[place] for place in means.choose(worth).models] for worth in (0, 0.001, 0.1)}
    assert chosen[0] == ["tiny", "tiny", "tiny"]
    assert chosen[0.001] == ["small", "small", "tiny"]
    assert chosen[0.1][:2] == ["small", "large"] or chosen[0.1][:2] == ["large", "large"]
    assert names[means.best] == "large"
    assert names[means.cheapest] == "tiny"


def test_there_is_a_worth_for_each_choice_on_the_hull() -> None:
    means = means_of(measurements())
    worths = worths_of(means)
    assert list(worths) == sorted(worths)
    assert (worths[0], worths[-1]) == (0, math.inf)
    choices = [means.choose(worth) for worth in worths]
    for cheaper, better in pairwise(choices):
        rows = np.arange(len(CHANCES))
        assert (means.scores[rows, cheaper.models] <= means.scores[rows, better.models]).all()
        assert (means.costs[rows, cheaper.models] <= means.costs[rows, better.models]).all()
    between = {tuple(means.choose(worth).models) for worth in np.geomspace(1e-6, 10, 4000)}
    assert between <= {tuple(choice.models) for choice in choices}


def test_a_task_with_few_cases_is_served_by_the_default() -> None:
    found = measurements()
    keep = ~found.of_task(2) | (np.arange(len(found)) % 20 == 0)
    means = means_of(found.part(keep))
    assert means.choose(0).models[2] == means.choose(0).default == means.best
    few = found.part(np.arange(len(found)) % 20 == 0)
    with pytest.raises(OutcomesError, match="no task has 30 cases with different prompts to fit to, the"):
        worths_of(means_of(few))


def test_parts_keep_groups_whole_and_tasks_even() -> None:
    found = measurements(cases=100)
    found.group_of[:] = found.group_of // 2
    for seed in (0, 1):
        folds, aside = folds_of(found, 5, seed), holdout_of(found, 0.25, seed)
        for part in (folds, aside):
            assert all(len(set(part[found.group_of == group])) == 1 for group in range(150))
        assert [int(aside[found.of_task(task)].sum()) for task in range(3)] == pytest.approx([25] * 3, abs=3)
        assert np.bincount(folds).tolist() == pytest.approx([60] * 5, abs=2)
        assert (folds == folds_of(found, 5, seed)).all()
    assert (folds_of(found, 5, 0) != folds_of(found, 5, 1)).any()


def test_a_task_of_one_prompt_again_and_again_is_not_judged_by_itself() -> None:
    found = measurements(cases=60)
    found.group_of[found.of_task(1)] = found.group_of.max()
    means = means_of(found)
    assert means.cases.tolist() == [60, 60, 60]
    assert means.enough.tolist() == [True, False, True]
    assert means.choose(0).models[1] == means.best
