"""Logs of Inspect, as it wrote them."""

import json
import zipfile

import pytest

from eval.logs.inspect_ai import MOST_BYTES, read_inspect
from recipes.errors import UserError
from tests.eval.logs.golden_files import GOLDEN

FIRST = [("add", 0, True), ("colour", 0, False), ("odd", 0, True)]
SECOND = [("add", 1, False), ("colour", 1, True), ("odd", 1, False)]


def test_an_archive_that_is_packed_with_zstandard():
    assert {each.compress_type for each in zipfile.ZipFile(GOLDEN / "small.eval").infolist()} == {93}
    assert list(read_inspect(GOLDEN / "small.eval", None)) == FIRST + SECOND


def test_a_json_log():
    assert list(read_inspect(GOLDEN / "small.json", None)) == [*FIRST[:2], ("odd", 0, False)]


def test_another_scorer():
    # includes: "blue sky" and "It is blue" both hold the target
    assert list(read_inspect(GOLDEN / "small.eval", "includes"))[1] == ("colour", 0, True)


NAMES = ("header.json", "summaries.json")


def _archive(
    path, samples, status="success", compression=zipfile.ZIP_DEFLATED, names=("header.json", "summaries.json")
):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in zip(names, ({"status": status}, samples), strict=False):
            archive.writestr(name, json.dumps(content))
    return path


SAMPLE = {"id": 7, "epoch": 2, "scores": {"match": {"value": "C"}}}


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_archives_of_earlier_releases(tmp_path, compression):
    path = _archive(tmp_path / "x.eval", [SAMPLE], compression=compression)
    assert list(read_inspect(path, None)) == [("7", 1, True)]


def test_a_sample_that_ended_in_an_error_is_missing(tmp_path):
    path = _archive(tmp_path / "x.eval", [SAMPLE, {"id": 8, "epoch": 1, "error": "timeout"}])
    assert [each.problem for each in read_inspect(path, None)] == ["7"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"samples": [SAMPLE], "status": "error"}, "the evaluation is not finished .status 'error'"),
        ({"samples": [SAMPLE], "names": ["header.json"]}, "it has no summary yet"),
        ({"samples": [{"id": 1}]}, "not a log of Inspect, or damaged"),
        ({"samples": [SAMPLE | {"scores": {"match": {"value": "P"}}}]}, "sample 7, epoch 2: match='P' is neither"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, content, says):
    path = _archive(tmp_path / "x.eval", content.pop("samples"), **content)
    with pytest.raises(UserError, match=says):
        list(read_inspect(path, None))


@pytest.mark.parametrize("cut", [100, 8000])
def test_a_cut_archive_is_named(tmp_path, cut):
    (tmp_path / "x.eval").write_bytes((GOLDEN / "small.eval").read_bytes()[:cut])
    with pytest.raises(UserError, match="x.eval: not a log of Inspect, or damaged"):
        list(read_inspect(tmp_path / "x.eval", None))


def test_a_member_that_claims_too_much_is_refused(tmp_path):
    content = bytearray(_archive(tmp_path / "x.eval", [SAMPLE]).read_bytes())
    at = content.rindex(b"PK\x01\x02")  # the central directory's entry of the last member; its size is 24 bytes on
    content[at + 24 : at + 28] = (MOST_BYTES + 1).to_bytes(4, "little")
    (tmp_path / "x.eval").write_bytes(content)
    with pytest.raises(UserError, match="claims 1,073,741,825 bytes"):
        list(read_inspect(tmp_path / "x.eval", None))
