"""`python -m train.plan`: what it says, what it writes, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recipes.errors import UserError
from train.plan.__main__ import main

FULL = ["recipe=full_recovery.yaml", "data.traces.size=200"]


def estimated(folder: Path, *arguments: str) -> dict[str, Any]:
    """The JSON that the command writes."""
    file = folder / "estimate.json"
    main([*FULL, f"data.cache_dir={folder / 'data'}", "base_gb=0.5", f"json={file}", *arguments])
    facts: dict[str, Any] = json.loads(file.read_text())
    return facts


def test_the_embedded_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = estimated(tmp_path, "gpus=2", "gpu_memory_gb=80", "tokens_per_second=1000")
    memory = {row["moment"]: row for row in facts["memory"]}
    assert (facts["parameters"]["total"], facts["traces"]["traces"], facts["steps"]) == (377_024, 200, 120)
    assert (memory["sweep"]["weights"], memory["sweep"]["optimizer states"]) == (377_024 * 4, 377_024 * 4)
    assert facts["hours"] == pytest.approx(facts["tokens"] / 1000 / 3600, rel=1e-3)
    assert (facts["sweep"]["sweeps"], facts["sweep"]["problems"]) == (
        6,
        {"knowledge": 64, "shallow": 128, "chain": 256},
    )
    assert (facts["misfits"], "it fits" in capsys.readouterr().out) == ([], True)


def test_the_keys_of_the_json_stay(tmp_path: Path) -> None:
    facts = estimated(tmp_path, "gpus=1")
    assert list(facts) == [
        *("machine", "parameters", "setup", "memory", "peak", "peak_bytes", "host_bytes", "traces", "steps"),
        *("global_batch", "tokens", "sweep", "sweep_share", "foresight", "flops", "sweep_flops", "hours"),
        *("sweep_hours", "hours_origin", "measured", "disk_bytes", "misfits", "remedies"),
        *("confirm_foresight", "confirm_share", "thoughts", "thinking_flops"),
    ]


def test_a_moments_sums_are_the_device_what_torch_reserves_and_what_tensors_take(tmp_path: Path) -> None:
    for row in estimated(tmp_path, "gpus=1", "card=H100")["memory"]:
        assert row["total"] - row["reserved"] == 1 << 29  # the base that is given
        assert row["reserved"] - row["allocated"] == row["kept by the allocator"]


def test_a_card_without_a_measurement_says_how_to_get_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert estimated(tmp_path, "gpus=1", "card=H100")["hours"] is None
    assert "hours       no measurement for this card (H100): run with measure=true" in capsys.readouterr().out


def test_json_goes_to_the_terminal_in_place_of_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([*FULL, f"data.cache_dir={tmp_path}", "base_gb=0.5", "gpus=1", "--json"])
    assert json.loads(capsys.readouterr().out)["machine"]["ranks"] == 1


def test_what_does_not_fit_is_named_with_keys_that_help(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = estimated(tmp_path, "gpus=1", "gpu_memory_gb=1", "trainer.per_device_train_batch_size=48")
    ways = {" ".join(way["keys"]): way for way in facts["remedies"]}
    way = ways["trainer.per_device_train_batch_size=1 trainer.gradient_accumulation_steps=48"]
    again = estimated(tmp_path, "gpus=1", "gpu_memory_gb=1", *way["keys"])
    assert (len(facts["misfits"]), way["fits"], again["misfits"]) == (1, True, [])
    assert again["peak_bytes"] == way["peak_bytes"] < facts["peak_bytes"]
    assert "DOES NOT FIT: a GPU" in capsys.readouterr().out


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"json=.*file/x: cannot be written"):
        main([*FULL, "gpus=1", "traces=10", "tokens=100", f"json={tmp_path / 'file' / 'x'}"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gpus=none"], "gpus=none: must be a whole number above 0"),
        (["gpus=1.5"], "gpus=1.5: must be a whole number above 0"),
        (["gpus=2", "gpu_memory_gb=-1"], "gpu_memory_gb=-1: must be a number above 0"),
        (["gpus=2", "gpu_memory_gb=.inf"], "gpu_memory_gb=.inf: must be a number above 0"),
        (["gpus=2", "base_gb=.nan"], "base_gb=.nan: must be a number above 0"),
        (["traces=10"], "traces and tokens go together"),
        (["gpus=2", "ranks=2"], "give one of them"),
        (["measure=yes"], "measure=yes: must be true or false"),
        (["gpu_memory_gb=80"], "gpu_memory_gb needs gpus=N"),
    ],
)
def test_mistakes_are_named(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main([*FULL, *arguments])
