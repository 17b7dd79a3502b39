"""What an export is tried on, kept and read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from data_prep.models import load_tokenizer
from data_prep.tokens.prompts import encode, render_prompt
from eval.sweep import make_sweep_spec
from recipes.errors import UserError
from recipes.loader import load
from runtime.run_folder import RunFolder
from tests.train.runs import small
from train.probes import keep_probes, read_probes


def test_the_prompts_are_those_of_the_deciding_suite(tmp_path: Path) -> None:
    recipe = load(small("lora", tmp_path, tmp_path))
    tokenizer = load_tokenizer(recipe.model.unpruned, recipe.model)
    spec = make_sweep_spec(recipe.sweep, recipe.data.format, tokenizer)
    keep_probes(spec, "chain", RunFolder(tmp_path))
    first = next(s for s in spec.suites if s.name == "chain").problems[0]
    rendered = render_prompt(first.question, spec.tokenizer, spec.protocol.format)
    assert json.loads(RunFolder(tmp_path).probes.read_text())[0] == list(encode(rendered, spec.tokenizer))[-64:]


def test_of_a_long_prompt_the_end_is_kept(tmp_path: Path) -> None:
    recipe = load(small("lora", tmp_path, tmp_path))
    spec = make_sweep_spec(recipe.sweep, recipe.data.format, load_tokenizer(recipe.model.unpruned, recipe.model))
    suite = spec.suites[-1]
    long = replace(suite.problems[0], question=" ".join(["7"] * 99 + ["8"]))
    spec = replace(spec, suites=(replace(suite, problems=(long,)),))
    keep_probes(spec, suite.name, RunFolder(tmp_path))
    whole = encode(render_prompt(long.question, spec.tokenizer, spec.protocol.format), spec.tokenizer)
    (kept,) = json.loads(RunFolder(tmp_path).probes.read_text())
    assert len(whole) > 64 and kept == list(whole[-64:]) != list(whole[:64])


def test_prompts_are_cut_to_the_shortest_from_the_left(tmp_path: Path) -> None:
    RunFolder(tmp_path).probes.write_text("[[1, 2, 3], [4, 5]]")
    prompts = read_probes(RunFolder(tmp_path), 9).prompts
    assert prompts is not None and prompts.tolist() == [[2, 3], [4, 5]]


def test_a_run_of_an_earlier_version_has_random_tokens(tmp_path: Path) -> None:
    probes = read_probes(RunFolder(tmp_path), 9)
    assert probes.prompts is None and probes.random.shape == (8, 48) and int(probes.random.max()) < 9


def test_the_random_tokens_are_the_same_every_time(tmp_path: Path) -> None:
    assert torch.equal(*(read_probes(RunFolder(tmp_path), 99).random for _ in range(2)))


@pytest.mark.parametrize("text", ["{", "[]", '[["a"]]', "7"])
def test_prompts_that_cannot_be_read_are_named(tmp_path: Path, text: str) -> None:
    RunFolder(tmp_path).probes.write_text(text)
    with pytest.raises(UserError, match=r"probes\.json: cannot be read .*; remove it"):
        read_probes(RunFolder(tmp_path), 9)
