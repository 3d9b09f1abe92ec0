"""The action `lock-check` on the real engine: outputs, annotations on the line to mend, summary, result of the step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engines.github import CHECKOUT, Github, Run

Projects = Callable[[str], Path]


def check(github: Github, project: Path, **inputs: str) -> Run:
    steps: list[dict[str, Any]] = [
        CHECKOUT,
        {"id": "check", "uses": "org/uv-actions/lock-check@v1", "with": inputs},
    ]
    return github.run(project, steps)


def test_a_fresh_lock_passes_without_annotations(github: Github, project: Projects) -> None:
    run = check(github, project("app"))
    assert run.ok, run.log
    assert run.outputs["check"] == {"state": "fresh", "findings": "0"}
    assert run.annotations == []
    assert "| `uv.lock` | fresh |" in run.summary


def test_a_drifted_lock_fails_on_the_line_that_changed(github: Github, project: Projects) -> None:
    run = check(github, project("drifted"))
    assert (run.ok, run.steps["check"]) == (False, "failure")
    assert run.outputs["check"] == {"state": "drifted", "findings": "1"}
    shown = [each for each in run.annotations if each.file]
    assert [(each.level, each.title, each.file) for each in shown] == [("error", "drifted", "pyproject.toml")]
    lines = (run.workspace / "pyproject.toml").read_text().splitlines()
    assert lines[shown[0].line - 1].strip() == '"idna>=3.11",'
    assert "`sniffio>=1.3` was added to dependencies" in shown[0].message
    assert "uv lock" in shown[0].message
    assert "sniffio" in run.summary


@pytest.mark.parametrize(
    ("name", "state", "title"),
    [
        ("merge-markers", "broken", "merge-markers"),
        ("newer-schema", "broken", "newer-schema"),
        ("unparsable", "broken", "unreadable"),
        ("missing-lock", "missing", "missing"),
    ],
)
def test_broken_and_missing_locks(github: Github, project: Projects, name: str, state: str, title: str) -> None:
    run = check(github, project("broken"), **{"working-directory": name, "paths": "."})
    assert (run.ok, run.outputs["check"]) == (False, {"state": state, "findings": "1"})
    assert title in {each.title for each in run.annotations}
    (place,) = {each.file for each in run.annotations if each.file}
    assert place.startswith(f"{name}/")


def test_fail_on_never_shows_findings_and_passes(github: Github, project: Projects) -> None:
    run = check(github, project("drifted"), **{"fail-on": "never"})
    assert run.ok, run.log
    assert run.outputs["check"]["state"] == "drifted"
    assert "drifted" in {each.title for each in run.annotations}


def test_a_dynamic_project_needs_a_build_and_gets_one_when_allowed(github: Github, project: Projects) -> None:
    folder = project("dynamic")
    assert check(github, folder).outputs["check"]["state"] == "needs-build"
    run = check(github, folder, build="true")
    assert (run.ok, run.outputs["check"]["state"]) == (True, "fresh"), run.log


def test_a_workspace_member_and_scripts(github: Github, project: Projects) -> None:
    run = check(github, project("workspace"), **{"working-directory": "apps/api"})
    assert (run.ok, run.outputs["check"]) == (True, {"state": "fresh", "findings": "0"}), run.log
    folder = project("script")
    assert check(github, folder).outputs["check"] == {"state": "fresh", "findings": "0"}
    run = check(github, folder, paths="*.py")
    assert run.outputs["check"] == {"state": "missing", "findings": "1"}
    assert [each.file for each in run.annotations if each.file] == ["unlocked.py"]


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ({"scripts": "yes"}, "scripts"),
        ({"build": "1"}, "build"),
        ({"fail-on": "note"}, "fail-on"),
        ({"paths": "nowhere"}, "paths"),
    ],
)
def test_a_wrong_input_is_named(github: Github, project: Projects, inputs: dict[str, str], named: str) -> None:
    run = check(github, project("app"), **inputs)
    assert not run.ok
    assert any(f"`{named}`" in each.message for each in run.annotations if each.level == "error"), run.log
