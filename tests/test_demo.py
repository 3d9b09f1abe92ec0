"""The demo: the whole way of a project, and what it says when a step of it fails."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

DEMO = Path(__file__).with_name("demo.py")


def demo(project: Path, platform: str = "github") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, DEMO, project, platform], capture_output=True, encoding="utf-8", check=False, timeout=280
    )


def fingerprint(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def states(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What the table says of each step."""
    lines = [line for line in done.stdout.splitlines() if line[14:22].strip() in ("ok", "FAILED", "-")]
    return {line[:14].strip(): line[14:22].strip() for line in lines}


@pytest.mark.usefixtures("github")
def test_a_project_ends_as_an_installed_package_and_is_not_touched(project: Callable[[str], Path]) -> None:
    app = project("app")
    before = fingerprint(app)

    done = demo(app)

    assert done.returncode == 0, done.stdout + done.stderr
    steps = ["setup", "lock-check", "test", "build", "publish", "install back"]
    assert states(done) == dict.fromkeys(steps, "ok")
    assert "app 1.2.3, imported app" in done.stdout
    assert fingerprint(app) == before


@pytest.mark.usefixtures("gitlab", "buildkite")
@pytest.mark.parametrize("platform", ["gitlab", "buildkite"])
def test_the_other_platforms_bring_it_there_too(project: Callable[[str], Path], platform: str) -> None:
    done = demo(project("app"), platform)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "app 1.2.3, imported app" in done.stdout


def test_an_unknown_platform_is_named_with_the_known_ones(project: Callable[[str], Path]) -> None:
    done = demo(project("app"), "travis")

    assert done.returncode == 2
    assert "'travis'" in done.stderr
    assert "gitlab" in done.stderr


@pytest.mark.usefixtures("github")
def test_a_failing_step_is_named_with_its_reason_and_ends_the_way(project: Callable[[str], Path]) -> None:
    done = demo(project("failing-tests"))

    assert done.returncode == 1
    assert states(done) == {"setup": "ok", "lock-check": "ok", "test": "FAILED", "build": "-", "publish": "-"}
    assert "test failed:\n  error tests/" in done.stderr
    assert "a message, with a comma: and 100%" in done.stderr


def test_a_folder_that_is_no_project(tmp_path: Path) -> None:
    done = demo(tmp_path)

    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path} has no pyproject.toml, so it is no project\n"
