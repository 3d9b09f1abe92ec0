"""What a project gets from the template `lock-check` on GitLab."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engines.gitlab import Gitlab

Project = Callable[[str], Path]


def test_a_drifted_lock_is_a_finding_of_code_quality(gitlab: Gitlab, project: Project) -> None:
    pipeline = gitlab.run(project("drifted"), {"include": [gitlab.include("lock-check")]}, image="slim")
    job = pipeline.job("uv-lock-check")
    assert (job.status, job.exit) == ("failed", 1)
    (finding,) = job.codequality()
    assert finding["location"]["path"] == "pyproject.toml"
    assert finding["severity"] == "major"
    assert "sniffio" in finding["description"]
    assert job.dotenv == {"UV_ACTIONS_LOCK_CHECK_STATE": "drifted", "UV_ACTIONS_LOCK_CHECK_FINDINGS": "1"}
    assert not (job.checkout / ".venv").exists()


def test_two_checks_with_options_of_their_own(gitlab: Gitlab, project: Project) -> None:
    includes = [
        gitlab.include("lock-check", {"job-name": "locks of scripts", "paths": "*.py"}),
        gitlab.include("lock-check", {"job-name": "all locks", "fail-on": "never", "paths": "$(touch owned)\n."}),
    ]
    pipeline = gitlab.run(project("script"), {"include": includes}, image="alpine")
    scripts, everything = pipeline.job("locks of scripts"), pipeline.job("all locks")
    assert scripts.exit == 1
    assert [each["location"]["path"] for each in scripts.codequality()] == ["unlocked.py"]
    assert everything.dotenv or everything.exit == 2
    assert not list(gitlab.state.rglob("owned"))


def test_a_fresh_lock_passes_without_a_finding(gitlab: Gitlab, project: Project) -> None:
    pipeline = gitlab.run(project("app"), {"include": [gitlab.include("lock-check")]})
    job = pipeline.job("uv-lock-check")
    assert job.ok, job.log
    assert job.codequality() == []
    assert job.dotenv["UV_ACTIONS_LOCK_CHECK_STATE"] == "fresh"
