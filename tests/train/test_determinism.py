"""The recipe's `deterministic`: what it refuses on a GPU, and what it sets, in a process of its own, where it stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recipes.errors import UserError
from recipes.loader import load
from tests.train.runs import SCRIPT, small
from tests.train.starts import completed
from train.determinism import check_deterministic, refusals


@pytest.mark.parametrize(
    ("keys", "device", "refused"),
    [
        ((), "cuda", []),
        (("zero.stage=3", "model.attention=sdpa", "trainer.optim=adafactor"), "cuda", []),
        (("trainer.use_liger_kernel=true",), "cuda", []),
        (("trainer.optim=paged_adamw_8bit",), "cuda", ["trainer.optim=paged_adamw_8bit"]),
        (("trainer.optim=galore_adamw",), "cuda", ["trainer.optim=galore_adamw"]),
        (("adapter.method=qlora",), "cuda", ["adapter.method=qlora"]),
        (
            ("trainer.torch_compile=true", "trainer.optim=lomo"),
            "cuda",
            ["trainer.optim=lomo", "trainer.torch_compile=true"],
        ),
        (("trainer.optim=paged_adamw_8bit",), "cpu", []),
        (("trainer.optim=paged_adamw_8bit", "deterministic=false"), "cuda", []),
    ],
)
def test_what_has_no_deterministic_kernel(keys: tuple[str, ...], device: str, refused: list[str]) -> None:
    recipe = load(small("lora", Path("run"), Path("cache"), "deterministic=true", *keys))
    assert [line.split()[0] for line in refusals(recipe, device)] == refused


def test_all_of_it_is_refused_at_once_with_what_to_write_instead() -> None:
    keys = ("deterministic=true", "adapter.method=qlora", "trainer.torch_compile=true")
    recipe = load(small("lora", Path("run"), Path("cache"), *keys))
    with pytest.raises(UserError) as fault:
        check_deterministic(recipe, "cuda")
    assert str(fault.value).splitlines() == [
        "deterministic=true: adapter.method=qlora uses kernels of bitsandbytes; use lora, or deterministic=false",
        "deterministic=true: trainer.torch_compile=true chooses kernels by timing them; leave it out, "
        "or deterministic=false",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (
            "true",
            {"algorithms": True, "cudnn_deterministic": True, "cudnn_benchmark": False, "cublas_workspace": ":4096:8"},
        ),
        (
            "false",
            {"algorithms": False, "cudnn_deterministic": False, "cudnn_benchmark": False, "cublas_workspace": None},
        ),
    ],
)
def test_a_run_is_as_deterministic_as_its_recipe_says_and_records_it(
    wanted: str, found: dict[str, object], tmp_path: Path, cache: Path
) -> None:
    keys = ("zero.stage=0", f"deterministic={wanted}", "trainer.max_steps=1", "sweep.every_steps=1000")
    arguments = small("lora", tmp_path / "run", cache, *keys, "export.enabled=false")
    done = completed([SCRIPT, *arguments], tmp_path)
    assert done.returncode == 0, done.stderr[-1500:]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["determinism"] == found
