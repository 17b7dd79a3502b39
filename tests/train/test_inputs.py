"""What is read and checked before anything is loaded: the fault is named by its key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recipes.errors import UserError
from recipes.loader import load_recipe
from runtime.ranks import ALONE
from tests.train.runs import small
from train.inputs import Inputs, read_inputs


def read(folder: Path, *overrides: str) -> Inputs:
    return read_inputs(load_recipe(small("lora", folder, folder, "zero.stage=0", *overrides)).recipe, ALONE)


REFUSED = {
    "data.max_length_tokens=9999": "data.max_length_tokens=9999: the model's context has",
    "model.attention=flash_attention_2": "model.attention=flash_attention_2 needs a GPU",
    "model.dtype=bfloat16": "zero.stage=0 with model.dtype=bfloat16: without DeepSpeed",
    "trainer.save_strategy=no": "trainer.save_strategy=no: the export needs a checkpoint",
    "sweep.confirm={problems: 60, suite: {source: nano, name: facts, family: knowledge, size: 64}}": (
        "sweep.confirm.problems=60: suite facts has 56 that no sweep sees (of 64)"
    ),
    "sweep.budgets=[16,9999]": "sweep.budgets: 9999 thinking tokens",
    "prune.layers=8": "prune: 8 of 8 layers would be removed",
    "prune.cut_from=data_prep/nano_model": "prune.cut_from=data_prep/nano_model: it has no prune plan",
    "prune={method: shortgpt, layers: 1, calibration: {source: text, path: gone.txt}}": (
        "prune.calibration.path=gone.txt: no such file"
    ),
    "trainer.adam_beta1=1.0": "trainer.optim=adamw_torch_fused: cannot work: Invalid beta parameter",
    "adapter.targets=[q_proj,v_projj]": "adapter.targets: 'v_projj' names no module of this model; did you mean v_proj",
    "adapter.targets=[embed_tokens]": "adapter.targets: 'embed_tokens' names the embedding (model.embed_tokens), which",
}


@pytest.mark.parametrize(("override", "said"), REFUSED.items())
def test_what_cannot_work_is_refused(override: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as refusal:
        read(tmp_path, override)
    assert str(refusal.value).startswith(said)


def test_the_lines_shown_before_loading_name_data_batch_format_and_sweep(tmp_path: Path) -> None:
    lines = read(tmp_path).describe().splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["data", "batch", "format", "sweep"]
    assert lines[-3] == ("sweep  budgets 16, 32, 64, 96, 128 tokens; problems: knowledge 8, shallow 8, chain 13")
    assert lines[-2].startswith("       chain, 13 problems x 1: a fully recovered run has level share 1 ± ")
    assert "TOO FEW" in lines[-2]
    assert lines[-1].startswith("       answers may take up to 4 tokens, 25% of the smallest budget (16)")


def test_what_confirms_is_shown_and_kept_out_of_the_traces(tmp_path: Path) -> None:
    inputs = read(tmp_path, "sweep.confirm={problems: 20}")
    assert inputs.confirm is not None and inputs.confirm.protocol == inputs.spec.protocol
    lines = inputs.describe().splitlines()
    assert lines[-2] == (
        "confirm chain-confirm, 20 problems that no sweep sees: the kept checkpoint and both references, once"
    )
    assert lines[-1].startswith("       chain, 20 problems x 1: a fully recovered run has level share 1 ± ")
    assert any("not decontaminated against knowledge, shallow, chain, chain-confirm" in line for line in lines)


def test_traces_that_hold_a_problem_that_confirms_are_dropped(tmp_path: Path) -> None:
    """Of a file of 12 problems sweeps see 6; one trace asks each of the twelve."""
    asked = [" ".join(f"word{n}x{k}" for k in range(12)) for n in range(12)]
    problems, traces = tmp_path / "problems.jsonl", tmp_path / "traces.jsonl"
    problems.write_text("".join(json.dumps({"problem": text, "answer": "1"}) + "\n" for text in asked))
    rows = [{"question": text, "thinking": "#1 +3 2 5", "answer": "5"} for text in ("start 2 #1 +3 ?", *asked)]
    traces.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = small("lora", tmp_path, tmp_path, "zero.stage=0", "data.traces.source=jsonl")
    arguments = [each for each in arguments if not each.startswith(("sweep.suites", "data.traces"))]
    suite = f"{{source: jsonl, name: words, path: {problems}, size: 6, grader: exact}}"
    arguments += [f"sweep.suites=[{suite}]", f"data.traces={{source: file, path: {traces}}}"]
    lost = []
    for confirm in ("null", "{problems: 6}"):
        given = [each for each in arguments if not each.startswith("sweep.confirm")]
        inputs = read_inputs(load_recipe([*given, f"sweep.confirm={confirm}"]).recipe, ALONE)
        lost.append(inputs.prepared.manifest["rows"]["lost"])
    assert lost == [{"in suite words": 6}, {"in suite words": 6, "in suite words-confirm": 6}]


def test_the_steps_follow_from_what_was_prepared(tmp_path: Path) -> None:
    inputs = read(tmp_path, "trainer.max_steps=-1", "trainer.num_train_epochs=2")
    assert inputs.arithmetic.steps == 2 * -(-len(inputs.prepared.rows) // 8)


def test_an_engine_that_is_not_installed_is_told_before_anything_is_loaded(tmp_path: Path) -> None:
    without = tmp_path / "python"
    without.write_text("#!/bin/sh\n")  # which says no version of vLLM
    without.chmod(0o755)
    with pytest.raises(UserError, match="vLLM is not installed there"):
        read(tmp_path, f"sweep.engine={{name: vllm, python: {without}, gpu_memory_share: 0.3}}")
