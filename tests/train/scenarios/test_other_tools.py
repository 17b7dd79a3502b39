"""An export in tools that are not ours: lm-evaluation-harness and vLLM, each in an environment of its own.

CHAINMEND_LM_EVAL_PYTHON and CHAINMEND_VLLM_PYTHON name the pythons of environments that have them; without one, the
tool in this environment is taken, and where there is none the test is skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from data_prep.nano_world import nano_problems
from tests.train.runs import environment

ANSWERS = ["0", "3", "5", "7"]
PROMPTS = ["start 7 #1 +3 #2 *4 #3 -2 ?", "fact 3 ?", "calc 4 +5 ?"]
NEW_TOKENS = 24
TASK = """
task: nano
dataset_path: json
dataset_kwargs:
  data_files: {{test: {data}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: {answers}
doc_to_target: 0
metric_list:
  - metric: acc
"""
VLLM = """
import json, sys
from vllm import LLM, SamplingParams
from vllm.inputs import TokensPrompt

if __name__ == "__main__":
    folder, out, prompts, tokens = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4])
    model = LLM(folder, dtype="float32", max_model_len=256, max_num_seqs=4, enforce_eager=True)
    greedy = SamplingParams(temperature=0.0, max_tokens=tokens)
    answers = model.generate([TokensPrompt(prompt_token_ids=ids) for ids in prompts], greedy)
    json.dump([list(answer.outputs[0].token_ids) for answer in answers], open(out, "w"))
"""


def python_with(package: str, variable: str) -> str:
    """The python that has a package; skips the test where there is none."""
    python = os.environ.get(variable) or (sys.executable if find_spec(package) else "")
    if not python:
        pytest.skip(f"no {package}: set {variable} to the python of an environment that has it")
    return python


def run(command: list[str], folder: Path, **more: str) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(HF_HUB_OFFLINE="1", HF_DATASETS_CACHE=str(folder / "cache"), **more),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def likeliest(export: Path, questions: list[str]) -> list[int]:
    """For each question the place of the answer that the export takes for the likeliest next word, in float32."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(export, dtype=torch.float32), tokenizer_of(export)
    found = []
    for question in questions:
        ids = tokenizer(question, return_tensors="pt", add_special_tokens=False).input_ids
        with torch.inference_mode():
            logits = model(ids).logits[0, -1]
        words = [tokenizer(f"{question} {answer}", add_special_tokens=False).input_ids[-1] for answer in ANSWERS]
        found.append(int(logits[words].argmax()))
    return found


def tokenizer_of(export: Path) -> PreTrainedTokenizerBase:
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(export)
    return tokenizer


@pytest.mark.slow
def test_lm_evaluation_harness_scores_an_export_as_transformers_does(lora: Path, tmp_path: Path) -> None:
    python = python_with("lm_eval", "CHAINMEND_LM_EVAL_PYTHON")
    questions = [problem.question for problem in nano_problems("shallow", 24, seed=0)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps({"question": text}) + "\n" for text in questions))
    (tmp_path / "nano.yaml").write_text(TASK.format(data=tmp_path / "data.jsonl", answers=json.dumps(ANSWERS)))
    model = f"pretrained={lora / 'export'},dtype=float32"
    arguments = ["--model", "hf", "--model_args", model, "--device", "cpu", "--batch_size", "8", "--tasks", "nano"]
    more = ["--include_path", str(tmp_path), "--output_path", str(tmp_path / "out"), "--log_samples"]
    run([python, "-m", "lm_eval", *arguments, *more], tmp_path)
    (results,) = (tmp_path / "out").rglob("results_*.json")
    chosen = likeliest(lora / "export", questions)
    assert 0 < chosen.count(0) < len(chosen)
    assert json.loads(results.read_text())["results"]["nano"]["acc,none"] == chosen.count(0) / len(chosen)


@pytest.mark.slow
def test_vllm_answers_with_an_export_as_transformers_does(lora: Path, tmp_path: Path) -> None:
    python = python_with("vllm", "CHAINMEND_VLLM_PYTHON")
    export, tokenizer = lora / "export", tokenizer_of(lora / "export")
    prompts = [tokenizer(text).input_ids for text in PROMPTS]
    (tmp_path / "answer.py").write_text(VLLM)
    out = tmp_path / "answers.json"
    arguments = [str(export), str(out), json.dumps(prompts), str(NEW_TOKENS)]
    run([python, str(tmp_path / "answer.py"), *arguments], tmp_path, VLLM_CPU_KVCACHE_SPACE="1")
    model = AutoModelForCausalLM.from_pretrained(export, dtype=torch.float32)
    expected = []
    for ids in prompts:
        given = torch.tensor([ids])
        fresh = model.generate(given, attention_mask=torch.ones_like(given), max_new_tokens=NEW_TOKENS, do_sample=False)
        expected.append(fresh[0, len(ids) :].tolist())
    assert json.loads(out.read_text()) == expected
