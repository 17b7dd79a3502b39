"""Memory by hand, and model states by DeepSpeed's own estimators."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from deepspeed.runtime.zero.stage3 import estimate_zero3_model_states_mem_needs
from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs

from train.plan.memory import (
    Load,
    Setup,
    buckets,
    gathered,
    gradients,
    host_bytes,
    model_states,
    moments,
    nvme_bytes,
    peak,
    step_gradients,
)
from train.plan.model import Activations, Sizes

QWEN3 = {
    "8B": Sizes(
        unpruned=8_190_735_360,
        total=8_190_735_360,
        trainable=8_190_735_360,
        largest=151_936 * 4096,
        persistent=308_224,
        head=151_936 * 4096,
        layers=36,
        tied=False,
    ),
    "32B": Sizes(
        unpruned=32_762_123_264,
        total=32_762_123_264,
        trainable=32_762_123_264,
        largest=151_936 * 5120,
        persistent=676_864,
        head=151_936 * 5120,
        layers=64,
        tied=False,
    ),
}
GPU = Setup(
    ranks=8,
    device="cuda",
    stage=2,
    weight_bytes=2,
    bucket_numel=50_000_000,
    accumulation_steps=1,
    optimizer="adamw_torch_fused",
)
NOTHING = Load(Activations(0, 0, 0, 0, 0), base=0, sweep=0, unpruned=0)
THOUSAND = Sizes(unpruned=1200, total=1000, trainable=1000, largest=100, persistent=50, head=100, layers=2, tied=True)
CPU = Setup(
    ranks=1,
    device="cpu",
    stage=0,
    weight_bytes=4,
    bucket_numel=300,
    accumulation_steps=1,
    optimizer="adamw_torch_fused",
)


def on_gpu(sizes: Sizes, setup: Setup) -> int:
    """Weights, gradients and optimizer states at an optimizer step; for ZeRO-3 with the weights that it gathers."""
    step = next(moment for moment in moments(sizes, setup, NOTHING) if moment.name == "optimizer step")
    return step.total - step.parts.get("communication buffers", 0) + gathered(sizes, setup)


@pytest.mark.parametrize("size", ["8B", "32B"])
@pytest.mark.parametrize("ranks", [1, 8, 64])
@pytest.mark.parametrize("offload", [False, True])
def test_zero_2_agrees_with_deepspeeds_estimator(size: str, ranks: int, offload: bool) -> None:
    _, wanted = estimate_zero2_model_states_mem_needs(
        QWEN3[size].total, num_gpus_per_node=min(8, ranks), num_nodes=math.ceil(ranks / 8), cpu_offload=offload
    )
    found = on_gpu(QWEN3[size], replace(GPU, ranks=ranks, offload_optimizer=offload))
    assert found == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("size", ["8B", "32B"])
@pytest.mark.parametrize("ranks", [8, 64])
@pytest.mark.parametrize(("offload", "parameters"), [(False, False), (True, False), (True, True)])
def test_zero_3_agrees_with_deepspeeds_estimator(size: str, ranks: int, offload: bool, parameters: bool) -> None:
    """It takes the largest layer's weights and gradients for what is gathered; DeepSpeed gathers up to so many
    parameters as it is told to keep. So they agree within a sixth, not to the byte."""
    sizes = QWEN3[size]
    _, wanted, _ = estimate_zero3_model_states_mem_needs(
        sizes.total,
        sizes.largest,
        num_gpus_per_node=8,
        num_nodes=ranks // 8,
        cpu_offload=offload,
        cpu_offload_params=parameters,
    )
    setup = replace(GPU, stage=3, ranks=ranks, offload_optimizer=offload, offload_parameters=parameters)
    assert on_gpu(sizes, setup) == pytest.approx(wanted, rel=1 / 6)


def test_offloaded_states_lie_in_main_memory() -> None:
    setup = replace(GPU, ranks=1, stage=3, offload_optimizer=True, offload_parameters=True)
    wanted, _, _ = estimate_zero3_model_states_mem_needs(
        QWEN3["8B"].total, QWEN3["8B"].largest, cpu_offload=True, cpu_offload_params=True, additional_buffer_factor=1
    )
    assert sum(host_bytes(QWEN3["8B"], setup).values()) == pytest.approx(wanted, rel=1 / 6)


def test_states_on_nvme_are_on_no_device_and_in_no_main_memory() -> None:
    setup = replace(GPU, ranks=2, stage=3, offload_optimizer=True, optimizer_on_disk=True)
    assert nvme_bytes(THOUSAND, setup) == 500 * (4 + 8)
    assert host_bytes(THOUSAND, setup) == {"gradients": 500 * (4 + 2)}
    assert "optimizer states" not in moments(THOUSAND, setup, NOTHING)[3].parts


def test_weights_in_4_bits_take_them_and_the_scales_of_their_blocks() -> None:
    sizes = replace(THOUSAND, trainable=100, quantised=800)
    blocks = 8 / 64 + 32 / (64 * 256)  # bits a weight: a scale of 8 bits for 64, and one of 32 bits for 256 of those
    assert model_states(sizes, CPU)["weights"] == 200 * 4 + round(800 * (4 + blocks) / 8)


@pytest.mark.parametrize(
    ("stage", "ranks", "weights", "master", "states", "grads", "copies", "buffer"),
    [
        (0, 1, 4000, 0, 8000, 4000, 0, 0),
        (0, 2, 4000, 0, 8000, 4000, 0, 4000),  # every gradient at once, flat
        (1, 2, 4000, 2000, 4000, 2000, 2000, 2400),  # a bucket of 300, and the copy that is sent
        (2, 2, 4000, 2000, 4000, 2000, 2000, 2400),
        (3, 2, 2200, 2000, 4000, 2000, 2000, 2400),  # 50 small parameters stay whole
    ],
)
def test_a_model_of_a_thousand_parameters_on_a_cpu(
    stage: int, ranks: int, weights: int, master: int, states: int, grads: int, copies: int, buffer: int
) -> None:
    setup = replace(CPU, stage=stage, ranks=ranks)
    assert tuple(model_states(THOUSAND, setup).values()) == (weights, master, states)
    assert (gradients(THOUSAND, setup), step_gradients(THOUSAND, setup), buckets(THOUSAND, setup)) == (
        grads,
        copies,
        buffer,
    )


def test_stage_1_keeps_whole_gradients_between_two_steps() -> None:
    assert gradients(THOUSAND, replace(CPU, stage=1, ranks=2, accumulation_steps=2)) == 4000


def test_the_peak_is_the_moment_that_holds_most() -> None:
    load = Load(Activations(saved=500, backward=700, layer=50, head=900, head_gradient=400), 10, 20, 4800)
    found = moments(THOUSAND, CPU, load)
    assert {moment.name: moment.total for moment in found} == {
        "loss": 12_010 + 500 + 900,
        "backward, first layers": 12_010 + 400 + 700,
        "backward, last layers": 12_010 + 4000 + 50,
        "optimizer step": 12_010 + 4000,
        "sweep": 12_010 + 20,
        "reference sweep": 10 + 4800 + 20,
    }
    assert peak(found).name == "backward, last layers"


def test_a_sweep_under_zero_3_has_the_whole_weights_on_every_rank() -> None:
    sweep = moments(THOUSAND, replace(CPU, stage=3, ranks=2), NOTHING)[4]
    assert sweep.parts["weights gathered"] == 4000


@pytest.mark.parametrize(("tied", "stage", "waits"), [(True, 2, 400), (False, 2, 0), (False, 0, 400)])
def test_the_gradient_of_the_head_waits_for_the_embeddings(tied: bool, stage: int, waits: int) -> None:
    load = Load(Activations(saved=0, backward=0, layer=0, head=0, head_gradient=400), 0, 0, 0)
    backward = moments(replace(THOUSAND, tied=tied), replace(CPU, stage=stage), load)[1]
    assert backward.parts["gradient of the head"] == waits
