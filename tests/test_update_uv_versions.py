"""`update_uv_versions.py`: the table follows the index, and nothing but a whole, right table is ever written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
A, B, C, D = (digit * 64 for digit in "abcd")


def file(name: str, sha256: str, **more: Any) -> dict[str, Any]:
    return {"filename": name, "url": f"/files/{name}", "hashes": {"sha256": sha256}, "yanked": False, **more}


FILES = [
    file("uv-0.10.0-py3-none-win32.whl", D),
    file("uv-0.6.17-py3-none-win32.whl", A),
    file("uv-0.7.0-py3-none-win_amd64.whl", B),
    file("uv-0.7.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", A),
    file("uv-0.7.0.tar.gz", A),
    file("uv-0.9.0-py3-none-win32.whl", C),
    file("uv-0.9.1-py3-none-win32.whl", C, yanked="broken"),
]
ROWS = [
    f"0.7.0\tmanylinux_2_17_x86_64.manylinux2014_x86_64\t{A}",
    f"0.7.0\twin_amd64\t{B}",
    f"0.9.0\twin32\t{C}",
    f"0.10.0\twin32\t{D}",
]


class Index:
    """The JSON form of the simple API, or whatever a test wants to be answered instead."""

    def __init__(self) -> None:
        self.status = 200
        self.body = json.dumps({"meta": {"api-version": "1.1"}, "files": FILES}).encode()
        self.cut = False
        self.accepted: list[str | None] = []
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.accepted.append(self.headers.get("Accept"))
                self.send_response(index.status if self.path == "/simple/uv/" else 404)
                self.send_header("Content-Length", str(len(index.body)))
                self.end_headers()
                self.wfile.write(index.body[: len(index.body) // 2] if index.cut else index.body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple/"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def serve(self, *files: dict[str, Any]) -> None:
        self.body = json.dumps({"files": files}).encode()


@pytest.fixture
def index() -> Iterator[Index]:
    index = Index()
    yield index
    index.server.shutdown()
    index.server.server_close()


@pytest.fixture
def table(tmp_path: Path, index: Index) -> Path:
    """A table that is current."""
    path = tmp_path / "uv_versions.tsv"
    path.write_text("\n".join([f"# index: {index.url}", *ROWS]) + "\n")
    return path


def run(*options: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCRIPTS / "update_uv_versions.py", *options]
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()} | env
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def refused(result: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert "To mend it: " in result.stderr
    for word in words:
        assert word in result.stderr


def test_a_new_table(tmp_path: Path, index: Index) -> None:
    """Every wheel since 0.7 that isn't yanked, versions in the order of their numbers, the index in the first line."""
    path = tmp_path / "new.tsv"
    result = run("--versions-file", path, "--index-url", index.url)
    assert result.returncode == 0, result.stderr
    assert path.read_text().splitlines() == [f"# index: {index.url}", *ROWS]
    assert "add: uv 0.7.0, 2 wheels\n" in result.stderr
    assert index.accepted == ["application/vnd.pypi.simple.v1+json"]


def test_a_current_table_is_left_alone(table: Path) -> None:
    os.utime(table, (1, 1))
    assert run("--versions-file", table, "--check").returncode == 0
    assert run(UV_ACTIONS_UPDATE_UV_VERSIONS_VERSIONS_FILE=str(table)).returncode == 0
    assert table.stat().st_mtime == 1


def test_check_tells_what_is_missing_and_writes_nothing(table: Path) -> None:
    lines = table.read_text().splitlines(keepends=True)
    stale = "".join(lines[:-1])
    table.write_text(stale)
    result = run("--versions-file", table, "--check")
    assert result.returncode == 1
    assert "add: uv 0.10.0, 1 wheel\n" in result.stderr
    assert "stale; run update_uv_versions.py" in result.stderr
    assert table.read_text() == stale
    assert run("--versions-file", table).returncode == 0
    assert table.read_text() == "".join(lines)


def test_what_the_index_has_yanked_is_removed(table: Path) -> None:
    text = table.read_text()
    table.write_text(text + f"0.9.1\twin32\t{C}\n")
    result = run("--versions-file", table)
    assert "remove: uv 0.9.1, 1 wheel\n" in result.stderr
    assert table.read_text() == text


@pytest.mark.parametrize("option", [[], ["--check"]])
def test_a_hash_that_has_changed_is_refused(table: Path, option: list[str]) -> None:
    """A released file never changes: either the table or the index has been tampered with."""
    tampered = table.read_text().replace(B, C)
    table.write_text(tampered)
    refused(run("--versions-file", table, *option), 3, "change: uv 0.7.0", "other hashes")
    assert table.read_text() == tampered


@pytest.mark.parametrize(("status", "code"), [(401, 4), (403, 4), (404, 5), (500, 5)])
def test_errors_of_the_index(table: Path, index: Index, status: int, code: int) -> None:
    before = table.read_text()
    index.status = status
    refused(run("--versions-file", table), code, str(status), index.url)
    assert table.read_text() == before


@pytest.mark.parametrize(
    "body", [b"<!DOCTYPE html><html></html>", b"[]", b"{}", b'{"files": 1}', b"\xff\xfe", b'{"files": [1]}']
)
def test_answers_that_are_no_index(table: Path, index: Index, body: bytes) -> None:
    before = table.read_text()
    index.body = body
    refused(run("--versions-file", table), 5, "not the JSON form")
    assert table.read_text() == before


def test_an_index_without_uv(table: Path, index: Index) -> None:
    index.serve(file("uv-0.7.0.tar.gz", A))
    refused(run("--versions-file", table), 5, "no wheel of uv")


@pytest.mark.parametrize("hashes", [{}, {"md5": "0"}, {"sha256": "A" * 64}, None])
def test_an_index_without_hashes(table: Path, index: Index, hashes: object) -> None:
    index.serve(*FILES[:-1], file("uv-0.9.2-py3-none-win32.whl", A) | {"hashes": hashes})
    refused(run("--versions-file", table), 3, "no sha256 of uv-0.9.2-py3-none-win32.whl")


def test_a_cut_answer(table: Path, index: Index) -> None:
    index.cut = True
    refused(run("--versions-file", table), 5, "can't be reached")


def test_no_connection(table: Path, index: Index) -> None:
    index.server.shutdown()
    index.server.server_close()
    refused(run("--versions-file", table), 5, "can't be reached")


def test_the_index_must_be_known(tmp_path: Path) -> None:
    path = tmp_path / "new.tsv"
    refused(run("--versions-file", path), 2, "--index-url")
    assert not path.exists()


@pytest.mark.parametrize("url", ["ftp://host/simple", "nonsense", "https://ci:s3cret@host/simple/"])
def test_wrong_urls(table: Path, url: str) -> None:
    result = run("--versions-file", table, "--index-url", url)
    refused(result, 2, "index URL")
    assert "s3cret" not in result.stderr


@pytest.mark.parametrize("line", ["0.9.0 win32 " + A, "0.9.0\twin32\tabc", "0.9\twin32\t" + A, "<<<<<<< HEAD"])
def test_an_unreadable_table_names_its_line(table: Path, line: str) -> None:
    table.write_text(table.read_text() + line + "\n")
    refused(run("--versions-file", table), 2, "line 6")


def test_the_released_table_is_in_the_form_that_this_tool_writes() -> None:
    lines = (SCRIPTS / "uv_versions.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# index: https://")
    rows = [line.split("\t") for line in lines[1:]]
    versions = [tuple(int(part) for part in version.split(".")) for version, _, _ in rows]
    assert versions == sorted(versions)
    assert versions[0] == (0, 7, 0)
    assert len({(version, tag) for version, tag, _ in rows}) == len(rows) > 2800
    newest = {tag for version, tag, _ in rows if version == rows[-1][0]}
    assert {"win_amd64", "win_arm64", "macosx_11_0_arm64", "macosx_10_12_x86_64", "musllinux_1_1_x86_64"} < newest
