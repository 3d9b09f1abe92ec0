"""This repository's own pipelines on GitLab, Jenkins and Buildkite, each on its engine, with the collection on itself.

`.ci/run`, which all three call, is a stand-in here: the suite would run itself. GitHub's is in `test_workflows.py`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from engines.buildkite import Buildkite
from engines.buildkite import Run as BuildkiteRun
from engines.gitlab import Gitlab
from engines.jenkins import Jenkins, Run

PYTHONS = ("3.10", "3.14")
BUILT = ["app-1.2.3-py3-none-any.whl", "app-1.2.3.tar.gz"]
RAN = "a stand-in for all tests"


@pytest.fixture
def collection(working_copy: Path, commit_all: Callable[[Path], None]) -> Path:
    """This repository, with the stand-in."""
    (working_copy / ".ci" / "run").write_text(f"echo '{RAN}'\n", encoding="utf-8")
    commit_all(working_copy)
    return working_copy


@pytest.fixture
def broken(collection: Path, commit_all: Callable[[Path], None]) -> Path:
    """The same with a sample project whose tests fail."""
    with (collection / "tests" / "projects" / "app" / "tests" / "test_app.py").open("a", encoding="utf-8") as tests:
        tests.write("\n\ndef test_broken() -> None:\n    raise AssertionError\n")
    commit_all(collection)
    return collection


@pytest.fixture
def path(pythons: Callable[[], dict[str, Path]]) -> list[Path]:
    """The folders of the Pythons that the pipelines name."""
    found = pythons()
    return [found[version].parent for version in PYTHONS]


def distributions(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.suffix in (".whl", ".gz"))


def test_gitlab(gitlab: Gitlab, collection: Path, path: list[Path]) -> None:
    run = gitlab.run(collection, path=path)
    assert run.ok, run.log
    assert set(run.jobs) == {"tests", "release-tree"}
    assert RAN in run.job("tests").log
    child = run.children["collection"]
    tests = {version: f"uv-test: [{version}, locked]" for version in PYTHONS}
    assert set(child.jobs) == {"uv-lock-check", *tests.values(), "uv-build"}
    assert child.job("uv-lock-check").dotenv["UV_ACTIONS_LOCK_CHECK_STATE"] == "fresh"
    for version, name in tests.items():
        told = child.job(name).dotenv
        assert told["UV_ACTIONS_SETUP_PYTHON_VERSION"].startswith(f"{version}.")
        assert (told["UV_ACTIONS_TEST_PASSED"], told["UV_ACTIONS_TEST_FAILED"]) == ("2", "0")
    assert distributions(child.job("uv-build").artifacts / "dist") == BUILT


def test_gitlab_with_a_test_that_fails(gitlab: Gitlab, broken: Path, path: list[Path]) -> None:
    run = gitlab.run(broken, path=path)
    assert not run.ok
    assert run.job("tests").ok
    child = run.children["collection"]
    failed = {name for name, job in child.jobs.items() if not job.ok}
    assert failed == {f"uv-test: [{version}, locked]" for version in PYTHONS}
    assert "uv-build" not in child.jobs


@pytest.fixture
def libraries(tmp_path: Path) -> Path:
    """The repository that takes the release tree on its way to Jenkins' controller."""
    folder = tmp_path / "libraries.git"
    subprocess.run(["git", "init", "--quiet", "--bare", folder], check=True)
    return folder


def run_jenkins(jenkins: Jenkins, collection: Path, path: list[Path], env: dict[str, str], mode: str = "cps") -> Run:
    jenkins.path[:0] = path
    text = (collection / "Jenkinsfile").read_text(encoding="utf-8")
    return jenkins.run(collection, text, env=env, mode=mode, timeout=240)


def branches(repository: Path) -> str:
    return subprocess.check_output(["git", "branch", "--list"], cwd=repository, text=True)


def test_jenkins(jenkins: Jenkins, collection: Path, path: list[Path], libraries: Path) -> None:
    run = run_jenkins(jenkins, collection, path, {"LIBRARY_REPOSITORY": str(libraries)})
    assert run.ok, run.log
    assert RAN in run.log
    assert [(report["passCount"], report["failCount"]) for report in run.junit] == [(2, 0)] * len(PYTHONS)
    assert [stage["name"] for stage in run.stages if stage["name"] != "Tests"] == [
        "Release tree", "Setup", "Lock check", "Test", "Build",
    ]  # fmt: skip
    assert run.findings() == ""
    assert distributions(run.stashes / "uv-actions-dist") == BUILT
    assert branches(libraries) == ""


def test_jenkins_with_a_test_that_fails(jenkins: Jenkins, broken: Path, path: list[Path], libraries: Path) -> None:
    run = run_jenkins(jenkins, broken, path, {"LIBRARY_REPOSITORY": str(libraries)}, mode="sandbox")
    assert run.result == "FAILURE"
    assert run.failed_stage == "Test"
    assert "test_broken" in run.findings()
    assert branches(libraries) == ""


def test_jenkins_says_that_it_needs_a_repository(jenkins: Jenkins, collection: Path, path: list[Path]) -> None:
    run = run_jenkins(jenkins, collection, path, {})
    assert run.result == "FAILURE"
    assert run.failed_stage == "Release tree"
    assert "LIBRARY_REPOSITORY: names the git repository" in run.log


def run_buildkite(buildkite: Buildkite, collection: Path, path: list[Path]) -> BuildkiteRun:
    text = (collection / ".buildkite" / "pipeline.yml").read_text(encoding="utf-8")
    return buildkite.run(collection, text, path=path)


def test_buildkite(buildkite: Buildkite, collection: Path, path: list[Path]) -> None:
    run = run_buildkite(buildkite, collection, path)
    assert run.ok, run.log
    assert RAN in run.job("tests").log
    for version in PYTHONS:
        told = run.job("collection", **{"": version}).env
        assert told["UV_ACTIONS_SETUP_PYTHON_VERSION"].startswith(f"{version}.")
        assert told["UV_ACTIONS_LOCK_CHECK_STATE"] == "fresh"
        assert (told["UV_ACTIONS_TEST_PASSED"], told["UV_ACTIONS_TEST_FAILED"]) == ("2", "0")
    assert sorted(Path(each).name for each in run.artifacts if "/dist/" in each) == BUILT


def test_buildkite_without_a_release_tree(
    buildkite: Buildkite, collection: Path, path: list[Path], commit_all: Callable[[Path], None]
) -> None:
    (collection / "scripts" / "install_uv.sh").unlink()
    commit_all(collection)
    run = run_buildkite(buildkite, collection, path)
    assert len(run.jobs) == 2 + len(PYTHONS)
    assert not [job.key for job in run.jobs if job.ok]
    assert "install_uv.sh is missing" in run.log
