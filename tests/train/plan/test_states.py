"""What a rank keeps, by hand for a model of a thousand parameters, and by DeepSpeed's own estimators for large ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
from deepspeed.runtime.zero.stage3 import estimate_zero3_model_states_mem_needs

from tests.train.plan.setups import CPU, GPU, QWEN3, THOUSAND
from train.plan.states import (
    buckets,
    gathered,
    gradients,
    host_bytes,
    kept_buffers,
    model_states,
    nvme_bytes,
    on_device,
    step_gradients,
    step_memory,
)


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
    assert on_device(model_states(THOUSAND, setup), setup) == {"weights": (500 + 50) * 2}


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


def test_a_gpu_fills_one_buffer_while_the_other_is_reduced() -> None:
    setup = replace(GPU, ranks=2, bucket_numel=300)
    assert buckets(THOUSAND, setup) == (2 * 300 + 300) * 2  # and the copy that is sent


def test_a_bucket_larger_than_the_model_takes_a_gpu_whole_and_a_cpu_as_it_is_filled() -> None:
    setup = replace(GPU, ranks=2, stage=3, bucket_numel=5000)
    on_cpu = replace(setup, device="cpu")
    sizes = [kept_buffers(THOUSAND, each)["communication buffers"] for each in (setup, on_cpu)]
    assert sizes == [5000 * 2, 1000 * 2]


def test_zero_3_gathers_no_more_than_is_sharded() -> None:
    assert gathered(THOUSAND, replace(GPU, stage=3)) == (1000 - 50) * 2


@pytest.mark.parametrize(
    ("optimizer", "stage", "working"),
    [
        ("adamw_torch", 2, 500 * 8),  # a flat half of the parameters
        ("adamw_torch", 0, 100 * 8),  # the largest one
        ("adamw_torch_fused", 2, 0),
        ("of the next release", 2, 500 * 8),
    ],
)
def test_what_a_step_takes_beside_states(optimizer: str, stage: int, working: int) -> None:
    setup = replace(CPU, stage=stage, ranks=2, optimizer=optimizer)
    assert step_memory(THOUSAND, setup)["optimizer's working memory"] == working


def test_a_step_in_main_memory_takes_nothing_of_a_gpu() -> None:
    assert step_memory(THOUSAND, replace(GPU, offload_optimizer=True)) == {}
