"""What a project's tests get from the template `test` on GitLab."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engines.gitlab import Gitlab

Project = Callable[[str], Path]

# What GitLab, its runner or a shell would take for something of theirs.
ODD = [
    "${CI_JOB_TOKEN}",
    "$CI_JOB_TOKEN",
    "${{ x }}",
    "cost $5",
    "'quoted' \"twice\"",
    "$(touch owned)",
    "--dashes",
    "a\\b",
]


def run(gitlab: Gitlab, project: Path, *, image: str = "machine", path: Any = (), **inputs: Any) -> Any:
    return gitlab.run(project, {"include": [gitlab.include("test", inputs)]}, image=image, path=path)


def test_each_python_and_resolution_is_a_job_of_its_own(
    gitlab: Gitlab, project: Project, pythons: Callable[[], Any]
) -> None:
    code = "import sys, idna; print('ran on', sys.version_info[:2], idna.__version__)"
    inputs: dict[str, Any] = {
        "python-versions": ["3.10", "3.14"],
        "resolutions": ["locked", "lowest-direct"],
        "command": "python",
        "args": f"-c\n{code}",
    }
    app = project("app")
    pipeline = run(gitlab, app, path=[pythons()[each].parent for each in ("3.10", "3.14")], **inputs)
    assert pipeline.ok, pipeline.log
    names = {f"uv-test: [{version}, {each}]" for version in ("3.10", "3.14") for each in inputs["resolutions"]}
    assert set(pipeline.jobs) == names
    for name, job in pipeline.jobs.items():
        assert f"ran on {(3, 10) if '3.10' in name else (3, 14)}" in job.log
        assert ("3.4\n" in job.log) == ("lowest-direct" in name)
        assert job.dotenv["UV_ACTIONS_SETUP_CACHE_STATE"] == ("off" if "lowest-direct" in name else "miss")
        assert subprocess.check_output(["git", "status", "--porcelain"], cwd=job.checkout, text=True) == ""
    kept = {path.name for path in (gitlab.state / "caches" / "protected").iterdir() if list(path.iterdir())}
    assert kept == {f"uv-actions-uv-test--py{version}-locked" for version in ("3.10", "3.14")}


def test_failing_tests_show_in_the_report_and_keep_the_cache(gitlab: Gitlab, project: Project) -> None:
    failing = project("failing-tests")
    job = run(gitlab, failing, image="slim").job("uv-test")
    assert (job.status, job.exit) == ("failed", 1)
    assert any("a message, with a comma: and 100%" in each for each in job.failures())
    told = {name: job.dotenv[f"UV_ACTIONS_TEST_{name}"] for name in ("PASSED", "FAILED", "SKIPPED")}
    assert told == {"PASSED": "2", "FAILED": "4", "SKIPPED": "2"}
    assert (job.artifacts / ".uv-actions" / "reports" / "junit.xml").is_file()
    again = run(gitlab, failing, image="alpine", args="tests/test_results.py::test_passes").job("uv-test")
    assert (again.status, again.dotenv["UV_ACTIONS_SETUP_CACHE_STATE"]) == ("success", "exact")
    none = run(gitlab, failing, args="empty").job("uv-test")
    assert (none.status, none.exit) == ("failed", 2)
    assert "no test was collected" in none.log


def test_coverage_is_a_report_and_a_figure(
    gitlab: Gitlab, project: Project, commit_all: Callable[[Path], None]
) -> None:
    app = project("app")
    subprocess.run(["uv", "add", "--quiet", "--no-config", "--dev", "pytest-cov"], cwd=app, check=True)
    commit_all(app)
    job = run(gitlab, app, coverage="xml", junit="out/results.xml", args="--cov=app").job("uv-test")
    assert job.ok, job.log
    (report,) = job.reports["cobertura"]
    assert "__init__.py" in report.read_text("utf-8")
    assert float(job.coverage) > 50
    assert (job.checkout / "out" / "results.xml").is_file()
    assert len(job.reports["junit"]) == 1


def test_arguments_reach_the_command_as_they_were_written(gitlab: Gitlab, project: Project) -> None:
    code = f"import sys; print('unchanged', sys.argv[1:] == {ODD!r}, sys.argv[1:])"
    job = run(gitlab, project("app"), image="slim", command="python", args="\n".join(["-c", code, *ODD])).job("uv-test")
    assert job.ok, job.log
    assert "unchanged True" in job.log
    assert not list(gitlab.state.rglob("owned"))


def test_a_version_without_quotes_fails_with_the_mend(gitlab: Gitlab, project: Project) -> None:
    job = run(gitlab, project("app"), **{"python-versions": [3.10]}).job("uv-test")
    assert job.exit == 2
    assert "the Python version is 3.1: YAML reads 3.10 without quotes" in job.log
    wrong = run(gitlab, project("script"), resolutions=["newest"], **{"working-directory": "."}).job("uv-test")
    assert wrong.exit == 2
    assert "'newest'" in wrong.log


def test_what_a_user_adds_to_the_job_stays(gitlab: Gitlab, project: Project) -> None:
    """What a user adds to the job by its name is merged with the template's, as GitLab does it."""
    config = {
        "include": [gitlab.include("test", {"args": "-v"})],
        "uv-test": {
            "before_script": ["cd src; export ADDED=here"],
            "variables": {"OF_THE_USER": "kept"},
            "tags": ["docker"],
        },
    }
    pipeline = gitlab.run(project("app"), config)
    assert pipeline.ok, pipeline.log
    merged = pipeline.config["uv-test"]
    assert merged["variables"]["OF_THE_USER"] == "kept"
    assert merged["variables"]["UV_ACTIONS_RUN_TESTS_ARGS"]
    assert merged["tags"] == ["docker"]
    assert "collected 2 items" in pipeline.job("uv-test").log
