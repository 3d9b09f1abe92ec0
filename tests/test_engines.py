"""What the engines need from elsewhere: that it works, and what is said where it can't be had."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from engines.fetch import ENGINES
from engines.pythons import PACKAGED, packaged

TESTS = Path(__file__).resolve().parent


def fetch(*without: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "engines.fetch", *without]
    environment = {**os.environ, **env}
    return subprocess.run(command, cwd=TESTS, env=environment, capture_output=True, text=True, check=False)


def test_the_pythons_are_what_they_say(pythons: Callable[[], dict[str, Path]]) -> None:
    found = pythons()
    assert {"3.10", "3.14"} <= set(found)
    assert len(found) >= 3
    for version, python in found.items():
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        assert subprocess.check_output([python, "-c", code], text=True).strip() == version


@pytest.mark.parametrize("version", PACKAGED)
def test_a_packaged_python_makes_environments_and_speaks_tls(
    version: str, pythons: Callable[[], dict[str, Path]], tmp_path: Path
) -> None:
    pythons()  # so that this test is left out with the others where they can't be had
    venv = tmp_path / "venv"
    uv = shutil.which("uv")
    assert uv
    subprocess.run([uv, "venv", "--no-config", "--quiet", "--python", packaged(version), venv], check=True)
    code = "import ssl, sys; ssl.create_default_context(); print(sys.prefix, '%d.%d' % sys.version_info[:2])"
    told = subprocess.check_output([venv / "bin" / "python", "-c", code], text=True)
    assert told.strip() == f"{venv} {version}"


def test_what_can_not_be_had_is_named_with_the_way_around_it(tmp_path: Path) -> None:
    dead = {"npm_config_registry": "http://127.0.0.1:9", "npm_config_fetch_retries": "0"}
    done = fetch(*(ENGINES.keys() - {"github"}), XDG_CACHE_HOME=str(tmp_path), UV_ACTIONS_TEST_ACTIONS="", **dead)
    assert done.returncode == 0
    assert done.stdout.startswith("github: npm couldn't install")
    assert "--without github" in done.stdout
    assert done.stdout.count("\n") == 1
    assert "ECONNREFUSED" in done.stderr
    assert list((tmp_path / "uv-actions-tests").iterdir()) == []


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    done = fetch("hudson")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "no engine hudson; there are: github" in done.stderr
