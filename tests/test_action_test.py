"""The component `test` on GitHub: its outputs, annotations and summary as a workflow sees them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from engines.github import Github

TEST = "org/uv-actions/test@v1"

PYPROJECT = """\
[project]
name = "api"
version = "0"
requires-python = ">=3.10"
dependencies = ["attrs>=22.1"]

[dependency-groups]
dev = ["pytest>=8"]

[tool.uv]
package = false
"""

TESTS = """\
import attr, os
import pytest


def test_fine():
    assert not [name for name in os.environ if name.startswith("UV_ACTIONS_RUN_TESTS")]


@pytest.mark.oldest
def test_oldest():
    assert attr.__version__ == "22.1.0"


@pytest.mark.parametrize("count", range(11))
def test_wrong(count):
    assert count == "::error::x\\n|"
"""


@pytest.fixture
def monorepo(tmp_path: Path, commit_all: Callable[[Path], None]) -> Path:
    """A repository with a project in a subfolder whose path has a space."""
    root = tmp_path / "my work" / "repo"
    folder = root / "apps" / "my api"
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PYPROJECT + "[tool.pytest.ini_options]\nmarkers = ['oldest']\n")
    (folder / "test_api.py").write_text(TESTS)
    subprocess.run(["uv", "lock", "--quiet"], cwd=folder, check=True)
    commit_all(root)
    return root


def step(name: str, **inputs: str) -> dict:
    return {"id": name, "uses": TEST, "continue-on-error": True, "with": {"working-directory": "apps/my api", **inputs}}


def test_passed_failed_and_refused(github: Github, monorepo: Path) -> None:
    result = github.run(
        monorepo,
        [
            {"uses": "actions/checkout@v4"},
            step("passed", args="-k\nfine", junit="reports/junit.xml"),
            step("oldest", args="-m\noldest", resolution="lowest-direct"),
            step("failed", args="-k\nwrong"),
            step("refused", resolution="newest"),
            step("nothing", args="-k\nabsent or nowhere"),
        ],
        timeout=300,
    )

    assert result.ok, result.log
    counts = {
        name: tuple(result.outputs.get(name, {}).get(count, "") for count in ("passed", "failed", "skipped"))
        for name in ("passed", "oldest", "failed", "refused", "nothing")
    }
    assert counts == {
        "passed": ("1", "0", "0"),
        "oldest": ("1", "0", "0"),
        "failed": ("0", "11", "0"),
        "refused": ("", "", ""),
        "nothing": ("0", "0", "0"),
    }
    assert result.outputs["passed"]["junit"].endswith("/apps/my api/reports/junit.xml")

    errors = [annotation for annotation in result.annotations if annotation.level == "error"]
    wrong = [annotation for annotation in errors if annotation.file]
    assert [(each.file, int(each.line or 0)) for each in wrong] == [("apps/my api/test_api.py", 16)] * 9
    others = [each.message for each in errors if not each.file]
    assert [message for message in others if "`resolution` is 'newest'" in message]
    assert [message for message in others if "no test was collected" in message]
    assert "11 failed" in result.summary
    assert "test_wrong[10]" in result.summary
    assert "2 more findings are only here" in result.summary


def test_failed_tests_fail_the_job(github: Github, monorepo: Path) -> None:
    steps = [
        {"uses": "actions/checkout@v4"},
        {"id": "test", "uses": TEST, "with": {"working-directory": "apps/my api"}},
    ]

    result = github.run(monorepo, steps, timeout=300)

    assert not result.ok
    assert result.steps["test"] == "failure"
