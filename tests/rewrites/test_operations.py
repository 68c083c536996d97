"""One row for each operation: all have an implementation, facts that agree with it, and a place in the schema."""

from __future__ import annotations

import pytest

from costlens_policy.documents.rewrites import OPERATIONS, PARAMETERS, Operation, ParameterSection
from costlens_policy.rewrites import compile_operation, implementations
from costlens_policy.rewrites.steps import COMPILERS

EXAMPLES = {
    "system": {"text": "s"},
    "prefix": {"text": "s"},
    "suffix": {"text": "s"},
    "template": {"text": "{{ prompt }}"},
    "drop_examples": {},
    "trim_history": {"max_prompt_tokens": 1},
    "shorten_tool_output": {"max_tokens": 1},
    "replace": {"pattern": "a"},
    "redact": {"kinds": ["email"]},
    "set_params": {"temperature": 0},
    "clamp_params": {"temperature": {"max": 1}},
    "remove_params": ["temperature"],
    "remove_tools": {"names": ["delete_*"]},
}


def test_each_has_a_row_an_implementation_and_an_example():
    files = {module.__name__ for module in implementations()}
    assert set(OPERATIONS) == set(Operation.model_fields) == set(COMPILERS) == set(EXAMPLES)
    assert Operation.exactly_one == tuple(OPERATIONS)
    assert {COMPILERS[name].__module__ for name in OPERATIONS} == files


@pytest.mark.parametrize("name", OPERATIONS)
def test_facts_agree_with_the_section_and_the_implementation(name):
    operation = Operation.model_validate({name: EXAMPLES[name]})
    facts, step = OPERATIONS[name], compile_operation(operation, {})
    assert operation.name == name
    assert step.targets == operation.targets
    assert bool(operation.targets) == (facts.target is not None)
    assert (facts.target == PARAMETERS) == isinstance(operation.section, ParameterSection) == any(operation.parameters)
    assert operation.effect in ("adds", "narrows", "replaces", "removes")
    assert (step.reads_texts, step.may_shorten, step.refuses) == (facts.reads_texts, facts.shortens, facts.refuses)
    if facts.text is not None:
        assert isinstance(getattr(operation.section, facts.text), str)
        assert all(isinstance(item, str) for item in facts.placeholders(operation.section))


@pytest.mark.parametrize("keys", [(), ("prefix", "suffix")])
def test_an_operation_has_exactly_one_key(keys):
    with pytest.raises(ValueError, match="set exactly one of `system`, `prefix`"):
        Operation.model_validate({key: EXAMPLES[key] for key in keys})
