"""An evaluation of Inspect with a model that answers from a list; its log is written as JSON and as `.eval`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import includes, match


def answers() -> Iterator[ModelOutput]:
    while True:
        for text in ("Paris", "The capital is Lima, of course"):
            output = ModelOutput.from_content("model", text)
            output.usage = ModelUsage(input_tokens=12, output_tokens=5, total_tokens=17)  # else a tokenizer is fetched
            yield output


for form in ("json", "eval"):
    samples = [
        Sample(id="fr", input="Capital of France?", target="Paris"),
        Sample(id="pe", input="Capital of Peru?", target="Lima"),
    ]
    task = Task(name="capitals", dataset=samples, scorer=[match(), includes()], epochs=2)
    model = get_model("mockllm/model", custom_outputs=answers())
    eval(task, model=model, log_dir=f"{sys.argv[1]}/{form}", log_format=form, display="none", max_samples=1)
