"""Building the embedded reasoner, and the one that ships."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from data_prep.__main__ import main
from data_prep.commands.nano import Curriculum, build, build_model, cut_into_batches, learning_rate_at, train
from data_prep.models import load_model, load_tokenizer
from data_prep.nano_ways import WAYS, WORDS, ways_traces
from data_prep.nano_world import build_tokenizer, nano_traces
from data_prep.tokens.tokenize import Row
from recipes.errors import UserError
from recipes.nano import NanoModel, NanoRecipe, NanoTraining
from recipes.paths import ROOT
from recipes.schema import ModelSection

SHIPPED = ROOT / "data_prep" / "nano_model"
WAYS_MODEL = ROOT / "data_prep" / "nano_ways_model"
WORLDS = [pytest.param(SHIPPED, (), id="first"), pytest.param(WAYS_MODEL, WORDS, id="ways")]
TINY = NanoRecipe(
    model=NanoModel(layers=4, hidden_size=16, heads=2, key_value_heads=1, head_size=8, intermediate_size=24),
    training=NanoTraining(steps=3, padded_tokens=512),
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    threads, folder = torch.get_num_threads(), tmp_path_factory.mktemp("nano")
    build(TINY, folder)
    torch.set_num_threads(threads)
    return folder


def test_a_built_model_loads_and_speaks_its_vocabulary(built: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(built)
    model = AutoModelForCausalLM.from_pretrained(built)
    ids = torch.tensor([tokenizer.encode("start 7 #1 +3 #2 *4 ?")])
    assert model(ids).logits.shape == (1, ids.shape[1], len(tokenizer))


def test_every_weight_of_a_built_model_was_trained(built: Path) -> None:
    fresh = dict(build_model(TINY, len(build_tokenizer())).named_parameters())
    trained = load_file(built / "model.safetensors")
    assert trained.keys() == fresh.keys()
    assert [name for name in trained if torch.equal(trained[name], fresh[name])] == []


def test_building_twice_gives_the_same_bits(built: Path, tmp_path: Path) -> None:
    build(TINY, tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == (built / "model.safetensors").read_bytes()


def test_the_curriculum_moves_on_at_a_low_loss_and_stays_at_its_end() -> None:
    curriculum = Curriculum(NanoTraining(curriculum=[3, 8], curriculum_loss=0.5))
    for loss in (3.0, 2.0):
        curriculum.update(loss)
    assert curriculum.max_operations == 3
    for _ in range(200):
        curriculum.update(0.0)
    assert curriculum.max_operations == 8


def test_chains_are_plain_until_the_ways_begin_and_then_in_the_taught_ways_alone() -> None:
    curriculum, rng = Curriculum(NanoTraining(curriculum=[3], ways_from_step=5)), random.Random(0)
    plain = {curriculum.draw(rng, "chain").source for _ in range(50)}
    for _ in range(5):
        curriculum.update(1.0)
    taught = {curriculum.draw(rng, "chain").source for _ in range(200)}
    assert (plain, taught) == ({"nano/chain"}, {"ways/quick", "ways/careful", "ways/final"})


def test_facts_and_single_steps_are_taught_on_beside_the_ways() -> None:
    curriculum, rng = Curriculum(NanoTraining(ways_from_step=0)), random.Random(0)
    assert {curriculum.draw(rng, family).source for family in ("knowledge", "shallow")} == {
        "nano/knowledge",
        "nano/shallow",
    }


def test_the_reasoner_of_the_second_world_speaks_its_words(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    build(TINY.changed(training=TINY.training.changed(steps=1, ways_from_step=0)), tmp_path)
    torch.set_num_threads(threads)
    tokenizer, model = AutoTokenizer.from_pretrained(tmp_path), AutoModelForCausalLM.from_pretrained(tmp_path)
    assert tokenizer.tokenize("check = ok") == ["▁check", "▁=", "▁ok"]
    assert model.config.vocab_size == len(tokenizer) == len(build_tokenizer(WORDS))


def test_a_second_training_starts_from_the_weights_of_the_first(tmp_path: Path) -> None:
    threads, then = torch.get_num_threads(), TINY.training.changed(steps=2, learning_rate=1e-2, ways_from_step=0)
    both = TINY.changed(then=then)
    build(both, tmp_path)
    torch.set_num_threads(1)
    tokenizer, model = build_tokenizer(WORDS), build_model(both, len(build_tokenizer(WORDS)))
    for training, seed in ((TINY.training, "pretraining 1"), (then, "pretraining 1 again")):
        train(model, tokenizer, training, random.Random(seed))
        restored = build_model(both, len(tokenizer))  # nothing but the weights goes from one training to the next
        restored.load_state_dict(model.state_dict())
        model = restored
    torch.set_num_threads(threads)
    built = load_file(tmp_path / "model.safetensors")
    assert [
        name for name, tensor in model.named_parameters() if name in built and not torch.equal(tensor, built[name])
    ] == []


def test_learning_rate_warms_up_and_ends_at_two_percent() -> None:
    training = NanoTraining(steps=100, learning_rate=1.0, warmup_steps=10)
    rates = [learning_rate_at(step, training) for step in (0, 4, 9, 10, 55, 100)]
    assert rates == pytest.approx([0.1, 0.5, 1.0, 1.0, 0.51, 0.02])


def test_batches_hold_every_row_within_the_padded_size() -> None:
    rows = [Row(str(n), [1] * n, [1] * n) for n in (5, 50, 7, 64, 30, 31, 6)]
    batches = cut_into_batches(rows, 100, random.Random(0))
    assert sorted(row.id for batch in batches for row in batch) == sorted(row.id for row in rows)
    assert max(len(batch) * max(len(row.input_ids) for row in batch) for batch in batches) <= 100


def test_the_command_wants_an_output_folder() -> None:
    with pytest.raises(UserError, match="out=DIR is missing"):
        main(["nano", "recipe=nano_world.yaml"])


@pytest.mark.parametrize(("folder", "_words"), WORLDS)
def test_a_shipped_model_is_small_and_only_safetensors(folder: Path, _words: tuple[str, ...]) -> None:
    files = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    assert sum(files.values()) <= 8 * 2**20
    assert [name for name in files if name.endswith((".bin", ".pt", ".pth", ".pkl"))] == []
    assert "model.safetensors" in files


@pytest.mark.parametrize(("folder", "_words"), WORLDS)
def test_a_shipped_model_is_a_qwen3_of_eight_layers(folder: Path, _words: tuple[str, ...]) -> None:
    model = load_model(str(folder), ModelSection(unpruned="x"))
    assert model.config.architectures == ["Qwen3ForCausalLM"]
    assert model.config.num_hidden_layers == len(model.model.layers) == 8
    assert 400_000 < model.num_parameters() < 600_000


@pytest.mark.parametrize(("folder", "words"), WORLDS)
def test_a_shipped_tokenizer_is_its_worlds(folder: Path, words: tuple[str, ...]) -> None:
    shipped, built_now = load_tokenizer(str(folder), ModelSection(unpruned="x")), build_tokenizer(words)
    assert shipped.get_vocab() == built_now.get_vocab()
    assert shipped.chat_template == built_now.chat_template


@pytest.mark.parametrize(
    ("folder", "sha256"),
    [
        (SHIPPED, "2a6fe6a0fdf14473563a06f314a35715daa63d2bd6dd84428807f559e901fd9c"),
        (WAYS_MODEL, "de34269897b1a21e6a9bdf5a217b37369f6a1ce36d7965a9f7f900959c95bc7b"),
    ],
    ids=["first", "ways"],
)
def test_the_weights_are_those_that_the_figures_were_measured_on(folder: Path, sha256: str) -> None:
    assert hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() == sha256


def test_the_shipped_tokenizer_gives_every_text_back() -> None:
    tokenizer = load_tokenizer(str(SHIPPED), ModelSection(unpruned="x"))
    for trace in nano_traces({"knowledge": 1.0, "shallow": 1.0, "chain": 1.0}, 100, seed=2):
        text = f"{trace.thinking}</think> {trace.answer}<eos>"
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_the_tokenizer_of_the_second_world_gives_every_way_back() -> None:
    tokenizer = load_tokenizer(str(WAYS_MODEL), ModelSection(unpruned="x"))
    for trace in [trace for way in WAYS for trace in ways_traces(way, "any", 20, seed=2)]:
        text = f"{trace.thinking}</think> {trace.answer}<eos>"
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text
