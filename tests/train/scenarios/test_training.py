"""What a step does: the loss by hand, which parameters move, accumulation, packing, dropout, sweeps. No DeepSpeed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from data_prep.models import load_model, load_tokenizer
from data_prep.prepared.prepare import prepare
from data_prep.tokens.prompts import think_format
from data_prep.tokens.tokenize import Row
from recipes.loader import load
from recipes.schema import Recipe
from tests.train.runs import MODEL, rows, same, small, trainer_of, untimed, weights

ONE_STEP = (
    "trainer.max_steps=1",
    "trainer.logging_steps=1",
    "trainer.warmup_steps=0",
    "sweep.every_steps=1000",
    "trainer.lr_scheduler_type=constant",
    "export.enabled=false",
)
DESCENT = ("trainer.optim=sgd", "trainer.learning_rate=1.0", "data.traces.size=8")
SLOW = pytest.mark.slow


@pytest.fixture(scope="session")
def pruned(full: Path) -> Path:
    return full / "pruned"


def test_the_run_record_says_which_format_was_taken(full: Path) -> None:
    said = json.loads((full / "run.json").read_text())["format"]
    assert (said["name"], said["open"], said["close"], said["cue"]) == ("custom", "<think>", "</think> ", "answer")


def nll_by_hand(model: torch.nn.Module, row: Row) -> tuple[float, int]:
    """Summed negative log-likelihood of the labelled tokens of one row, alone and unpadded, and their count."""
    ids, labels = torch.tensor([row.input_ids]), torch.tensor(row.labels)
    with torch.inference_mode():
        log_probabilities = model(input_ids=ids).logits[0, :-1].double().log_softmax(-1)
    wanted = labels[1:]
    kept = wanted != -100
    chosen = log_probabilities[kept, wanted[kept]]
    return -float(chosen.sum()), int(kept.sum())


def loss_by_hand(recipe: Recipe, pruned: Path) -> float:
    """The token-weighted mean over all traces of the recipe."""
    tokenizer = load_tokenizer(str(pruned), recipe.model)
    prepared = prepare(recipe.data, tokenizer, think_format(recipe.data.format, tokenizer))
    model = AutoModelForCausalLM.from_pretrained(pruned, dtype=torch.float32)
    sums = [nll_by_hand(model, row) for row in prepared.rows]
    return sum(nll for nll, _ in sums) / sum(count for _, count in sums)


# all 12 traces are in the one global batch, whatever their order
@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        ("trainer.per_device_train_batch_size=12",),
        ("trainer.per_device_train_batch_size=3", "trainer.gradient_accumulation_steps=4"),
        pytest.param(("trainer.per_device_train_batch_size=12", "trainer.gradient_checkpointing=true"), marks=SLOW),
        pytest.param(("trainer.per_device_train_batch_size=12", "data.packing=true"), marks=SLOW),
    ],
    ids=["whole", "accumulated", "checkpointed", "packed"],
)
def test_loss_is_the_mean_over_the_labelled_tokens_of_the_global_batch(
    overrides: tuple[str, ...], here: Callable[..., Path], pruned: Path
) -> None:
    folder = here("full", *ONE_STEP, "data.traces.size=12", *overrides)
    recipe = load(small("full", folder, folder, "data.traces.size=12"))
    assert rows(folder / "metrics.jsonl")[0]["loss"] == pytest.approx(loss_by_hand(recipe, pruned), rel=2e-5)


@pytest.fixture(scope="session")
def one_sgd_step(here: Callable[..., Path]) -> Callable[..., Path]:
    """One step of plain gradient descent on the same 8 traces: what moved is the gradient, times the learning rate."""

    def step(*overrides: str) -> Path:
        return here("full", *ONE_STEP, *DESCENT, *overrides)

    return step


@pytest.mark.slow
def test_accumulated_micro_batches_give_the_weights_of_one_batch(one_sgd_step: Callable[..., Path]) -> None:
    whole = weights(one_sgd_step("trainer.per_device_train_batch_size=8") / "checkpoint-1")
    parts = weights(
        one_sgd_step("trainer.per_device_train_batch_size=4", "trainer.gradient_accumulation_steps=2") / "checkpoint-1"
    )
    assert max(float((whole[name] - parts[name]).abs().max()) for name in whole) < 2e-6


@pytest.mark.slow
def test_gradient_descent_of_that_test_moved_the_weights(one_sgd_step: Callable[..., Path], pruned: Path) -> None:
    moved = weights(one_sgd_step("trainer.per_device_train_batch_size=8") / "checkpoint-1")
    assert max(float((moved[name] - start).abs().max()) for name, start in weights(pruned).items()) > 1e-3


def test_a_full_run_moves_every_parameter(full: Path) -> None:
    start, end = weights(full / "pruned"), weights(full / "checkpoint-8")
    assert [name for name in start if torch.equal(start[name], end[name])] == []


@pytest.fixture(scope="session")
def lora_model(tmp_path_factory: pytest.TempPathFactory, pruned: Path) -> torch.nn.Module:
    """The model of a LoRA run after training, base and adapter together, put together by the stages of a run."""
    folder = tmp_path_factory.mktemp("stages")
    recipe = load(small("lora", folder, folder, "zero.stage=0", "prune=null", f"model.pruned={pruned}"))
    trainer = trainer_of(recipe, folder, load_model(str(pruned), recipe.model))
    trainer.train()
    model: torch.nn.Module = trainer.model
    return model


def test_a_lora_run_leaves_the_base_bit_for_bit(lora_model: torch.nn.Module, pruned: Path) -> None:
    base = {
        name.removeprefix("base_model.model.").replace(".base_layer", ""): tensor.contiguous()
        for name, tensor in lora_model.state_dict().items()
        if "lora_" not in name
    }
    start = weights(pruned)
    assert same({name: base[name] for name in start}, start)


def test_a_lora_run_moves_every_adapter(lora_model: torch.nn.Module) -> None:
    second = {name: tensor for name, tensor in lora_model.state_dict().items() if "lora_B" in name}
    assert second
    assert [name for name, tensor in second.items() if not bool(tensor.any())] == []


def test_only_adapters_train_in_a_lora_run(lora_model: torch.nn.Module) -> None:
    assert [name for name, p in lora_model.named_parameters() if p.requires_grad != ("lora_" in name)] == []


@pytest.mark.slow
def test_adapters_begin_by_the_recipes_seed(here: Callable[..., Path], lora: Path) -> None:
    again = here("lora", "trainer.max_steps=8", "export.enabled=false", "sweep.every_steps=1000")
    assert same(weights(again / "checkpoint-8"), weights(lora / "checkpoint-8"))


@pytest.mark.slow
def test_another_seed_gives_another_run(here: Callable[..., Path], lora: Path) -> None:
    other = here("lora", "seed=2", "export.enabled=false", "sweep.every_steps=1000")
    assert not same(weights(other / "checkpoint-8"), weights(lora / "checkpoint-8"))


@pytest.mark.slow
def test_weights_are_the_same_bits_with_sweeps_on_or_off(here: Callable[..., Path]) -> None:
    sampled = ("adapter.dropout=0.1", "sweep.temperature=0.8", "trainer.max_steps=4", "export.enabled=false")
    often, never = (here("lora", *sampled, f"sweep.every_steps={steps}") for steps in (2, 1000))
    assert same(weights(often / "checkpoint-4"), weights(never / "checkpoint-4"))


@pytest.mark.slow
def test_dropout_of_that_test_was_on(here: Callable[..., Path]) -> None:
    runs = [
        here(
            "lora",
            f"adapter.dropout={dropout}",
            "trainer.max_steps=2",
            "export.enabled=false",
            "sweep.every_steps=1000",
        )
        for dropout in (0.0, 0.1)
    ]
    assert not same(*(weights(run / "checkpoint-2") for run in runs))


@pytest.mark.slow
def test_token_counts_are_the_tokens_that_were_trained(here: Callable[..., Path]) -> None:
    folder = here("full", "data.traces.size=24", "trainer.max_steps=3", "export.enabled=false")
    recipe = load(small("full", folder, folder, "data.traces.size=24"))
    tokenizer = load_tokenizer(str(MODEL), recipe.model)
    every = prepare(recipe.data, tokenizer, think_format(recipe.data.format, tokenizer)).tokens  # 3 x 8 = all 24, once
    assert sum(row["tokens"] for row in rows(folder / "metrics.jsonl")) == every


@pytest.mark.slow
def test_the_last_step_is_logged_where_it_is_no_logging_step(here: Callable[..., Path]) -> None:
    folder = here(
        "full",
        "trainer.max_steps=5",
        "trainer.logging_steps=3",
        "trainer.save_steps=100",
        "export.enabled=false",
        "sweep.every_steps=1000",
    )
    assert [row["step"] for row in untimed(folder / "metrics.jsonl")] == [3, 5]


@pytest.mark.slow
def test_old_checkpoints_go_only_when_the_new_one_is_complete(here: Callable[..., Path]) -> None:
    folder = here(
        "full",
        "trainer.max_steps=4",
        "trainer.save_steps=1",
        "trainer.save_total_limit=2",
        "export.enabled=false",
        "sweep.every_steps=1000",
    )
    assert sorted(path.parent.name for path in folder.glob("checkpoint-*/COMPLETE")) == ["checkpoint-3", "checkpoint-4"]


def test_no_deepspeed_states_at_stage_0(full: Path) -> None:
    assert list((full / "checkpoint-8").glob("global_step*")) == []


@pytest.mark.slow
def test_a_report_is_written_only_where_the_recipe_wants_one(full: Path, lora: Path) -> None:
    """`full` is a run with run.report=none, `lora` one with end."""
    assert [(folder / "report.html").exists() for folder in (full, lora)] == [False, True]


@pytest.mark.slow
def test_without_a_bar_the_trainer_prints_nothing(here: Callable[..., Path], capfd: pytest.CaptureFixture[str]) -> None:
    here("full", *ONE_STEP, "trainer.disable_tqdm=true")
    printed = capfd.readouterr()
    assert ("'loss'" in printed.out, "%|" in printed.err) == (False, False)


@pytest.mark.slow
def test_dora_exports_what_it_trained(here: Callable[..., Path]) -> None:
    folder = here("lora", "adapter.method=dora", "trainer.max_steps=2", "trainer.save_steps=2")
    report = json.loads((folder / "export" / "export_report.json").read_text())
    assert report["cast_difference"] <= 1e-3
