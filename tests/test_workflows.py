"""Our own workflows, run as far as this machine can; only `gh` is a stand-in that notes what it is told."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from engines.github import Github

ROOT = Path(__file__).resolve().parent.parent
GH = '#!/bin/sh\necho "$@" >> "$GH_LOG"\n[ "$1 $2" != "pr list" ] || echo "$GH_OPEN"\n'


class Job:
    """The last job of a workflow, in a clone of a repository of our form."""

    def __init__(self, workflow: str, folder: Path) -> None:
        text = (ROOT / ".github" / "workflows" / workflow).read_text(encoding="utf-8")
        jobs: dict[str, dict[str, Any]] = yaml.safe_load(text)["jobs"]
        *_, job = jobs.values()
        self.steps = [step for step in job["steps"] if "run" in step]
        self.remote = folder / "remote.git"
        self.clone = folder / "clone"
        self.log = folder / "gh.log"
        self.temp = folder / "temp"
        self.temp.mkdir()
        (folder / "bin").mkdir()
        (folder / "bin" / "gh").write_text(GH, encoding="utf-8")
        (folder / "bin" / "gh").chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(folder / "bin"), os.environ["PATH"]]),
            "HOME": str(folder),
            "RUNNER_TEMP": str(self.temp),
            "GH_LOG": str(self.log),
            "GH_OPEN": "0",
        }
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.remote), cwd=folder)
        self.git("clone", "--quiet", str(self.remote), str(self.clone), cwd=folder)
        for path in ("scripts/release_tree.py", "scripts/_common.py"):
            self.write(path, (ROOT / path).read_text(encoding="utf-8"))
        self.write(".gitignore", "__pycache__/\n")
        self.write(".gitignore", "__pycache__/\n")
        self.write("LICENSE", "free\n")
        self.write("scripts/uv_versions.tsv", "old\n")
        self.git("switch", "--quiet", "--create", "main")
        self.git("add", "--all")
        self.git("-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "--message", "first")
        self.git("push", "--quiet", "origin", "main")

    def write(self, path: str, text: str) -> None:
        (self.clone / path).parent.mkdir(parents=True, exist_ok=True)
        (self.clone / path).write_text(text, encoding="utf-8", newline="\n")

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        command = ["git", *arguments]
        done = subprocess.run(
            command, check=True, cwd=cwd or self.clone, env=self.environment, capture_output=True, text=True
        )
        return done.stdout.strip()

    def run(self, name: str, **values: str) -> subprocess.CompletedProcess[str]:
        """Runs a step as a runner runs it; `values` stand for its expressions."""
        step = next(step for step in self.steps if step["name"] == name)
        given = {key: value for key, value in step["env"].items() if "${{" not in value}
        missing = step["env"].keys() - given.keys() - values.keys() - {"GH_TOKEN"}
        assert not missing
        return subprocess.run(
            ["bash", "-e", "-c", step["run"]],
            check=False,
            cwd=self.clone,
            env={**self.environment, **given, **values},
            capture_output=True,
            text=True,
        )

    def remote_refs(self) -> set[str]:
        return {line.split("\t")[1] for line in self.git("ls-remote", "--refs", "origin").splitlines()}

    def told_gh(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []


@pytest.fixture
def release_job(tmp_path: Path) -> Job:
    return Job("release.yml", tmp_path)


@pytest.fixture
def update_job(tmp_path: Path) -> Job:
    return Job("update-uv.yml", tmp_path)


def test_release_pushes_branch_and_tags(release_job: Job) -> None:
    for version in ("1.2.3", "1.2.4"):
        made = release_job.run("Make the commit and its tags", UV_ACTIONS_RELEASE_TREE_VERSION=version)
        assert made.returncode == 0, made.stderr
        pushed = release_job.run("Push them, all or none")
        assert pushed.returncode == 0, pushed.stderr
    assert release_job.remote_refs() == {
        "refs/heads/main",
        "refs/heads/releases/v1",
        "refs/tags/v1",
        "refs/tags/v1.2",
        "refs/tags/v1.2.3",
        "refs/tags/v1.2.4",
    }
    assert release_job.git("ls-remote", "origin", "refs/tags/v1").split()[0] == release_job.git("rev-parse", "v1.2.4")


def test_release_that_someone_else_was_faster_with_pushes_nothing(release_job: Job) -> None:
    release_job.run("Make the commit and its tags", UV_ACTIONS_RELEASE_TREE_VERSION="1.2.3")
    release_job.git("push", "--quiet", "origin", "main:refs/heads/releases/v1")
    before = release_job.git("ls-remote", "origin")
    assert release_job.run("Push them, all or none").returncode != 0
    assert release_job.git("ls-remote", "origin") == before


def test_release_of_a_wrong_version_stops_before_the_push(release_job: Job) -> None:
    made = release_job.run("Make the commit and its tags", UV_ACTIONS_RELEASE_TREE_VERSION="v1; echo pwned")
    assert made.returncode == 2
    assert "must be three numbers" in made.stderr
    assert release_job.remote_refs() == {"refs/heads/main"}


def test_update_without_news_proposes_nothing(update_job: Job) -> None:
    assert update_job.run("Propose the change").returncode == 0
    assert update_job.remote_refs() == {"refs/heads/main"}
    assert update_job.told_gh() == []


def test_update_proposes_the_table_alone(update_job: Job) -> None:
    update_job.write("scripts/uv_versions.tsv", "new\n")
    update_job.write("LICENSE", "changed by accident\n")
    done = update_job.run("Propose the change")
    assert done.returncode == 0, done.stderr
    assert update_job.git("diff", "--name-only", "main", "origin/update-uv") == "scripts/uv_versions.tsv"
    assert [line.partition(" --")[0] for line in update_job.told_gh()] == ["auth setup-git", "pr list", "pr create"]


def test_update_renews_an_open_proposal(update_job: Job) -> None:
    update_job.git("push", "--quiet", "origin", "main:update-uv")
    update_job.write("scripts/uv_versions.tsv", "newer\n")
    done = update_job.run("Propose the change", GH_OPEN="1")
    assert done.returncode == 0, done.stderr
    assert update_job.git("show", "origin/update-uv:scripts/uv_versions.tsv") == "newer"
    assert not [line for line in update_job.told_gh() if line.startswith("pr create")]


def test_the_collection_passes_on_itself(
    github: Github, pythons: Callable[[], dict[str, Path]], working_copy: Path, commit_all: Callable[[Path], None]
) -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["collection"]
    versions = job["strategy"]["matrix"]["python"]
    del job["name"], job["permissions"], job["timeout-minutes"]
    commit_all(working_copy)
    found = pythons()
    for version in versions:
        # The systems are GitHub's to offer; here there is this one.
        job.update({"runs-on": "ubuntu-latest", "strategy": {"matrix": {"python": [version]}}})
        run = github.run(working_copy, workflow={"jobs": {"collection": job}}, path=[found[version].parent])
        assert run.ok, run.log
        assert run.outputs["test"]["failed"] == "0"
