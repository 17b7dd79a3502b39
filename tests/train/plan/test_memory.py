"""Moments by hand, and model states by DeepSpeed's own estimators."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from deepspeed.runtime.zero.stage3 import estimate_zero3_model_states_mem_needs
from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs

from tests.train.plan.setups import CPU, GPU, QWEN3, THOUSAND
from train.plan.activations import Activations
from train.plan.device import Overhead
from train.plan.memory import Load, Moment, Teacher, estimate_memory, moments, peak
from train.plan.states import Setup, gathered
from train.sizes import Sizes

NOTHING = Load(Activations(0, 0, 0, 0, 0), base=0, sweep=0, unpruned=0)


def on_gpu(sizes: Sizes, setup: Setup) -> int:
    """Weights, gradients and optimizer states at an optimizer step; for ZeRO-3 with the weights that it gathers.

    DeepSpeed's estimators leave out its buffers, and the flat gradients from which it casts the float32 ones."""
    step = next(moment for moment in moments(sizes, setup, NOTHING) if moment.name == "optimizer step")
    left_out = (step.parts.get(name, 0) for name in ("communication buffers", "gradients laid flat"))
    return step.total - sum(left_out) + gathered(sizes, setup)


@pytest.mark.parametrize("size", ["8B", "32B"])
@pytest.mark.parametrize("ranks", [1, 8, 64])
@pytest.mark.parametrize("offload", [False, True])
def test_zero_2_agrees_with_deepspeeds_estimator(size: str, ranks: int, offload: bool) -> None:
    _, theirs = estimate_zero2_model_states_mem_needs(
        QWEN3[size].total, num_gpus_per_node=min(8, ranks), num_nodes=math.ceil(ranks / 8), cpu_offload=offload
    )
    ours = on_gpu(QWEN3[size], replace(GPU, ranks=ranks, offload_optimizer=offload))
    assert ours == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("size", ["8B", "32B"])
@pytest.mark.parametrize("ranks", [8, 64])
@pytest.mark.parametrize(("offload", "parameters"), [(False, False), (True, False), (True, True)])
def test_zero_3_agrees_with_deepspeeds_estimator(size: str, ranks: int, offload: bool, parameters: bool) -> None:
    """It takes the largest layer's weights and gradients for what is gathered; DeepSpeed gathers up to so many
    parameters as it is told to keep. So they agree within a sixth, not to the byte."""
    sizes = QWEN3[size]
    _, theirs, _ = estimate_zero3_model_states_mem_needs(
        sizes.total,
        sizes.largest,
        num_gpus_per_node=8,
        num_nodes=ranks // 8,
        cpu_offload=offload,
        cpu_offload_params=parameters,
    )
    setup = replace(GPU, stage=3, ranks=ranks, offload_optimizer=offload, offload_parameters=parameters)
    assert on_gpu(sizes, setup) == pytest.approx(theirs, rel=1 / 6)


def test_the_peak_is_the_moment_that_holds_most() -> None:
    load = Load(Activations(saved=500, backward=700, layer=50, head=900, head_gradient=400), 10, 20, 4800)
    counted = moments(THOUSAND, CPU, load)
    assert {moment.name: moment.total for moment in counted} == {
        "load": 10 + 4000,  # the states come with the first step
        "loss": 12_010 + 500 + 900,
        "backward, first layers": 12_010 + 400 + 700,
        "backward, last layers": 12_010 + 4000 + 50,
        "optimizer step": 12_010 + 4000,
        "sweep": 12_010 + 20,
        "reference sweep": 10 + 4800 + 20,
    }
    assert peak(counted).name == "backward, last layers"


def test_a_sweep_under_zero_3_has_the_whole_weights_on_every_rank() -> None:
    sweep = moments(THOUSAND, replace(CPU, stage=3, ranks=2), NOTHING)[5]
    assert sweep.parts["weights gathered"] == 4000


@pytest.mark.parametrize(("tied", "stage", "waits"), [(True, 2, 400), (False, 2, 0), (False, 0, 400)])
def test_the_gradient_of_the_head_waits_for_the_embeddings(tied: bool, stage: int, waits: int) -> None:
    load = Load(Activations(saved=0, backward=0, layer=0, head=0, head_gradient=400), 0, 0, 0)
    backward = moments(replace(THOUSAND, tied=tied), replace(CPU, stage=stage), load)[2]
    assert backward.parts["gradient of the head"] == waits


def with_teacher(teacher: Teacher | None, setup: Setup = CPU) -> dict[str, Moment]:
    load = Load(Activations(saved=500, backward=700, layer=50, head=900, head_gradient=400), 10, 20, 4800, teacher)
    return {moment.name: moment for moment in moments(THOUSAND, setup, load)}


def test_a_teacher_takes_its_weights_while_the_run_trains_and_sweeps_and_nothing_else() -> None:
    teacher = Teacher(parameters=1200, weight_bytes=2, forward=300)
    alone, taught = with_teacher(None), with_teacher(teacher)
    more = {name: taught[name].total - alone[name].total for name in alone}
    # it is loaded after the references, and after the model that trains
    assert more == {**dict.fromkeys(alone, 2400), "load": 0, "reference sweep": 0}


def test_a_teacher_runs_before_the_trained_model_keeps_activations() -> None:
    moment = with_teacher(Teacher(parameters=1200, weight_bytes=2, forward=300))["teacher's forward pass"]
    # base; weights of 4 bytes and two states of 4 each; its weights; its own pass
    assert moment.total == 10 + 4000 + 8000 + 2400 + 300


def test_an_offloaded_teacher_has_its_layers_on_the_device_in_its_forward_pass_only() -> None:
    taught = with_teacher(Teacher(parameters=1200, weight_bytes=2, forward=300, elsewhere=1000))
    moment = taught["teacher's forward pass"]
    assert (moment.parts["teacher"], moment.parts["teacher's layers"]) == (400, 2000)
    assert "teacher's layers" not in taught["loss"].parts


def test_an_offloaded_teacher_lies_in_main_memory_beside_a_gpu() -> None:
    load = replace(NOTHING, teacher=Teacher(parameters=1200, weight_bytes=2, elsewhere=1000))
    assert estimate_memory(THOUSAND, replace(GPU, ranks=1), load).host["teacher"] == 2000


def test_a_sharded_teacher_keeps_its_share_and_is_gathered_for_its_forward_pass() -> None:
    taught = with_teacher(Teacher(parameters=1201, weight_bytes=2, ranks=2, largest=100), replace(CPU, ranks=2))
    moment = taught["teacher's forward pass"]
    assert (moment.parts["teacher"], moment.parts["teacher gathered"]) == (601 * 2, 1201 * 2)
    assert "teacher gathered" not in taught["optimizer step"].parts


def test_without_a_teacher_there_is_no_moment_of_one() -> None:
    assert [name for name in with_teacher(None) if "teacher" in name] == []


def test_an_estimate_on_a_gpu_has_its_peak_and_what_is_offloaded() -> None:
    memory = estimate_memory(THOUSAND, replace(GPU, ranks=1, offload_optimizer=True), NOTHING)
    assert (memory.peak, memory.host["optimizer states"]) == (peak(memory.moments), 8000)


def on_one_gpu(overhead: Overhead) -> dict[str, Moment]:
    load = Load(Activations(saved=500, backward=700, layer=50, head=900, head_gradient=400), 1000, 20, 2400)
    setup = replace(GPU, ranks=1, bucket_numel=300)
    return {moment.name: moment for moment in moments(THOUSAND, setup, replace(load, overhead=overhead))}


def test_a_step_in_bfloat16_holds_its_gradients_three_times() -> None:
    """As reduced (2 bytes), laid flat (2) and in float32 (4), beside weights (2), masters (4) and states (8); so torch
    allocated 11.6 GiB on an H100 where the sum without the flat ones was 10.5 (0.6B, every parameter)."""
    assert on_one_gpu(Overhead())["optimizer step"].allocated == 1000 * (2 + 4 + 8 + 2 + 2 + 4)


def test_what_the_device_shows_is_what_torch_reserves_and_what_it_knows_nothing_of() -> None:
    step = on_one_gpu(Overhead(workspaces=100, communication=77, kept_share=0.1))["optimizer step"]
    assert step.allocated == 22_000 + 100
    assert (step.reserved, step.total) == (22_100 + 2_210, 24_310 + 1000 + 77)


def test_the_model_is_loaded_with_masters_and_with_zeros_for_its_gradients() -> None:
    assert on_one_gpu(Overhead())["load"].allocated == 1000 * (2 + 4 + 4)


def test_the_export_finds_the_states_of_training_on_a_gpu_and_none_of_a_cpu() -> None:
    assert on_one_gpu(Overhead())["export"].allocated == 1000 * (2 + 4 + 8)
    assert "export" not in with_teacher(None)
