"""Taking an export to the Hub: what would go up, what is refused, and errors of the Hub in one line. No network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from huggingface_hub import HfApi

from recipes.errors import UserError
from runtime.seal import COMPLETE, seal
from tests.runtime.servers import CLOSED, silent_server
from train.export import main
from train.push import HEAD_LINES, check_login, check_name, push, upload_of


@pytest.fixture(autouse=True)
def _online(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client calls the servers of these tests, which are on loopback."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "README.md").write_text("---\nlibrary_name: transformers\n---\n# mine\n")
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"0" * 1500)
    seal(folder)
    return folder


def refused(act: Callable[[], object], *words: str) -> None:
    with pytest.raises(UserError) as caught:
        act()
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_sealed_files_and_the_seal_go_up(export: Path) -> None:
    (export / "notes.md").write_text("mine")
    upload = upload_of(export, "me/mine")
    assert list(upload.files) == ["README.md", "config.json", "model.safetensors", COMPLETE]
    assert upload.files["model.safetensors"] == 1500


def test_a_dry_run_shows_files_sizes_and_the_head_of_the_card(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([f"out={export}", "push=me/mine", "dry_run=true"])
    lines = capsys.readouterr().out.splitlines()
    assert "          1,500  model.safetensors" in lines and "  library_name: transformers" in lines
    assert lines[-1] == "nothing was uploaded"


def test_a_long_card_is_shown_to_its_head(export: Path) -> None:
    (export / "README.md").write_text("line\n" * (HEAD_LINES + 3))
    assert str(upload_of(export, "me/mine")).splitlines()[-1].strip() == "… 3 more lines"


def test_what_is_no_longer_as_exported_does_not_go_up(export: Path) -> None:
    (export / "config.json").write_text("[]")
    refused(lambda: main([f"out={export}", "push=me/mine", "dry_run=true"]), "config.json has other bytes")


def test_an_export_without_its_card_does_not_go_up(export: Path) -> None:
    (export / "README.md").unlink()
    refused(lambda: upload_of(export, "me/mine"), "README.md is missing")


@pytest.mark.parametrize("name", ["mine", "a/b/c", "me/my model", "/data/mine"])
def test_what_is_no_name_of_a_repository_is_refused(name: str) -> None:
    refused(lambda: check_name(name), f"push={name}", "USER/NAME")


def test_a_dry_run_without_a_repository_is_refused(export: Path) -> None:
    refused(lambda: main([f"out={export}", "run=somewhere", "dry_run=true"]), "push=USER/NAME")


def test_a_hub_that_cannot_be_reached_is_one_line(export: Path) -> None:
    api = HfApi(endpoint=CLOSED, token="hf_none")
    refused(lambda: push(upload_of(export, "me/mine"), api), "push=me/mine", "nothing is lost")


def test_a_hub_that_does_not_answer_is_one_line(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.push.ANSWER_SECONDS", 0.05)
    with silent_server() as address:
        api = HfApi(endpoint=address, token="hf_none")
        refused(lambda: check_login(api), "push: the Hub could not be used (no answer within 0.05 s)")
        refused(lambda: push(upload_of(export, "me/mine"), api), "push=me/mine", "no answer within 0.05 s")


def test_without_a_token_it_says_how_to_log_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no token"))
    refused(lambda: check_login(HfApi(endpoint=CLOSED)), "hf auth login")


@pytest.fixture
def forbidding() -> Iterator[tuple[str, list[bytes]]]:
    """A server that refuses everything, with the bodies that it was sent."""
    bodies: list[bytes] = []

    class Forbids(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Forbids)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", bodies
    server.shutdown()
    server.server_close()


def test_a_refusal_of_the_hub_is_one_line_and_the_repository_would_be_private(
    export: Path, forbidding: tuple[str, list[bytes]]
) -> None:
    address, bodies = forbidding
    refused(lambda: push(upload_of(export, "me/mine"), HfApi(endpoint=address, token="hf_none")), "push=me/mine", "403")
    asked = json.loads(bodies[0])
    assert (asked["name"], asked["organization"]) == ("mine", "me")
    assert asked.get("private") is True or asked.get("visibility") == "private"
