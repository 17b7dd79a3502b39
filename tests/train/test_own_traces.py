"""A recipe that names `source: generate`: its traces are written once, by all ranks together, then read as a file."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch

from data_prep.filtering.pipeline import read_and_filter
from data_prep.ledger import Ledger
from recipes.errors import UserError
from recipes.loader import load_recipe
from recipes.schema import Recipe
from recipes.traces import FileTraces
from runtime.ranks import ALONE
from tests.eval.endpoints import complete, endpoint
from tests.eval.worlds import nano, nano_tokenizer
from tests.runtime.threads import together
from tests.train.runs import run_here, small
from train.own_traces import with_generated_traces

ASKED = (
    "{source: generate, problems: {source: nano, name: c, family: chain, size: 8, part: PART}, "
    "thinking_tokens: 128, answer_tokens: 8}"
)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def recipe(cache: Path, *changes: str, part: str = "training", samples: int = 2) -> Recipe:
    return load_recipe(
        [
            "recipe=lora_recovery.yaml",
            f"run.cache_dir={cache}",
            f"data.traces={ASKED.replace('PART', part)}",
            f"data.traces.samples={samples}",
            *changes,
        ]
    ).recipe


def file_of(found: Recipe) -> Path:
    assert isinstance(found.data.traces, FileTraces)
    return found.data.traces.path


def test_the_traces_are_written_once_and_read_as_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = file_of(with_generated_traces(recipe(tmp_path), ALONE))
    assert "8 problems, 16 thoughts" in capsys.readouterr().out
    before = path.stat().st_mtime_ns
    again = with_generated_traces(recipe(tmp_path), ALONE)
    assert file_of(again) == path and path.stat().st_mtime_ns == before
    assert "thoughts" not in capsys.readouterr().out
    with path.open(encoding="utf-8") as file:
        assert [trace.id for trace in read_and_filter(again.data, Ledger())] == [json.loads(row)["id"] for row in file]


@pytest.mark.parametrize("spoil", ["gold", "cut", "seal"])
def test_traces_in_the_cache_that_are_not_as_they_were_written_are_written_anew(
    spoil: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = file_of(with_generated_traces(recipe(tmp_path), ALONE))
    sound = path.read_text()
    match spoil:
        case "gold":
            path.write_text(sound.replace('"gold": "', '"gold": "1', 1))
        case "cut":
            path.write_text(sound[: len(sound) // 2])
        case "seal":
            path.with_suffix(".sha256").unlink()
    spoilt = path.read_text()
    again = file_of(with_generated_traces(recipe(tmp_path), ALONE))
    assert f"{path} is damaged" in capsys.readouterr().out
    assert (again, again.read_text()) == (path, sound)
    assert path.with_name(f"{path.name}.damaged-1").read_text() == spoilt


@pytest.mark.slow
def test_two_ranks_share_the_work_and_write_the_same_file(tmp_path: Path) -> None:
    model, tokenizer = nano(), nano_tokenizer()  # here, since transformers cannot load in several threads at once
    with endpoint(lambda body: (200, complete(model, tokenizer, body))) as (url, bodies):
        engine = f"data.traces.engine={{name: server, url: '{url}', model: nano}}"
        greedy = ("data.traces.temperature=0", engine)
        alone = file_of(with_generated_traces(recipe(tmp_path / "one", *greedy, samples=1), ALONE))
        before = len(bodies)
        both = together(lambda ranks: with_generated_traces(recipe(tmp_path / "two", *greedy, samples=1), ranks))
    assert before == len(bodies) - before == 16  # eight thoughts and eight answers, none of them twice
    assert [file_of(each).read_bytes() for each in both] == [alone.read_bytes()] * 2


class Heard(io.StringIO):
    """What is printed; `waiting` is set as soon as somebody says that it waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = threading.Event()

    def write(self, text: str) -> int:
        if "waiting for another run" in text:
            self.waiting.set()
        return super().write(text)


def test_two_runs_at_once_write_the_traces_once(tmp_path: Path) -> None:
    """The second comes while the first thinks, whose thoughts come only when the second has said that it waits."""
    model, tokenizer, heard, thinking = nano(), nano_tokenizer(), Heard(), threading.Event()

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        thinking.set()
        return (200, complete(model, tokenizer, body)) if heard.waiting.wait(20) else (404, "nobody waits")

    with endpoint(answer) as (url, bodies), redirect_stdout(heard), ThreadPoolExecutor() as threads:
        asked = recipe(
            tmp_path,
            "data.traces.temperature=0",
            f"data.traces.engine={{name: server, url: '{url}', model: nano}}",
            samples=1,
        )
        first = threads.submit(with_generated_traces, asked, ALONE)
        assert thinking.wait(20)
        second = threads.submit(with_generated_traces, asked, ALONE)
        assert file_of(first.result()) == file_of(second.result())
    assert len(bodies) == 16 and heard.getvalue().count("waiting for another run") == 1


def test_another_request_is_another_file(tmp_path: Path) -> None:
    files = {
        file_of(with_generated_traces(recipe(tmp_path, *changes), ALONE))
        for changes in ((), ("data.traces.keep=shortest",), ("data.traces.sampling_seed=9",))
    }
    assert len(files) == 3


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"run.cache_dir=.*file: cannot be written \(.*\); name another folder"):
        with_generated_traces(recipe(tmp_path / "file"), ALONE)


def test_any_other_recipe_stays_as_it_is(tmp_path: Path) -> None:
    plain = load_recipe(["recipe=lora_recovery.yaml", f"run.cache_dir={tmp_path}"]).recipe
    assert with_generated_traces(plain, ALONE) is plain


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="do not exist yet"):
        with_generated_traces(recipe(tmp_path, "dry_run=true"), ALONE)
    assert list(tmp_path.iterdir()) == []


def test_problems_that_the_sweep_asks_too_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_generated_traces(recipe(tmp_path, "sweep.suites.2.size=8", part="held_out"), ALONE)
    assert "warning: 8 of the 8 problems of data.traces.problems are also in the sweep's suite chain" in (
        capsys.readouterr().out
    )


@pytest.mark.slow
def test_a_run_trains_on_what_its_model_wrote(tmp_path: Path) -> None:
    traces = ASKED.replace("PART", "training").replace("size: 8", "size: 48")
    arguments = small(
        "lora", tmp_path / "run", tmp_path / "cache", f"data.traces={traces}", "trainer.max_steps=4", "zero.stage=0"
    )
    assert run_here([each for each in arguments if not each.startswith("data.traces.size=")]) == 0
    record = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert record["recipe"]["data"]["traces"]["source"] == "generate"
    assert record["traces"]["path"].startswith(str(tmp_path / "cache" / "generated"))
    assert record["data"]["traces_kept"] > 30
