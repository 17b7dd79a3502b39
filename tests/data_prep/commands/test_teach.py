"""What the unpruned model says at each token: against its whole logits, its size, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from data_prep.commands.teach import likeliest, main
from data_prep.tokens.tokenize import IGNORED, Row
from recipes.errors import UserError
from tests.prune.models import TOKENS, build

ROWS = [Row("a", TOKENS[0].tolist(), [IGNORED] * 4 + TOKENS[0, 4:].tolist()), Row("b", [5, 6, 7], [IGNORED, 6, 7])]


def keys(folder: Path, *more: str) -> list[str]:
    return [
        "recipe=distill_recovery.yaml",
        "data.traces.size=20",
        f"data.cache_dir={folder / 'data'}",
        f"out={folder / 'taught'}",
        *more,
    ]


def test_tokens_and_logarithms_are_those_of_the_whole_logits() -> None:
    model = build("qwen3").eval()
    for place, ids, logs in likeliest(model, ROWS, 3, 2.0, 4096):
        row = ROWS[place]
        wanted = [at - 1 for at, label in enumerate(row.labels) if label != IGNORED]
        whole = (model(input_ids=torch.tensor([row.input_ids])).logits[0, wanted] / 2.0).softmax(-1).detach()
        own = whole.topk(3, -1)
        assert ids.tolist() == own.indices.tolist()
        expected = torch.cat([own.values, 1 - own.values.sum(-1, keepdim=True)], -1).numpy()
        np.testing.assert_allclose(np.exp(logs.astype(np.float64)), expected, rtol=5e-3)


def test_a_token_takes_at_most_six_bytes_for_each_stored_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(keys(tmp_path))
    labelled = len(np.load(tmp_path / "taught" / "ids.npy"))
    size = sum(path.stat().st_size for path in (tmp_path / "taught").glob("*.npy")) - 2 * 128  # two headers
    assert size <= labelled * (6 * 64 + 2) <= labelled * 600  # at most 0.6 GB for a million tokens
    assert f"{labelled:,} labelled tokens, the 64 likeliest each" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["out="], "out=DIR is missing"),
        (["k=0"], "k=0: must be a whole number of at least 1"),
        (["k=100000"], r"k=100000: the model has \d+ tokens; write a smaller number"),
        (["batch_tokens=x"], "batch_tokens=x: must be a whole number"),
        (["out=tests"], "out=tests: the file exists already"),
    ],
)
def test_what_cannot_work_is_named(more: list[str], said: str, tmp_path: Path) -> None:
    values = dict(key.split("=", 1) for key in (*keys(tmp_path), *more))
    with pytest.raises(UserError, match=said):
        main([f"{key}={value}" for key, value in values.items()])
