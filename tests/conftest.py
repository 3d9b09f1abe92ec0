"""What the tests share: the release tree, the engines, the services and projects to run them on."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engines.buildkite import Buildkite
from engines.buildkite_api import AgentApi
from engines.fetch import ENGINES
from engines.github import NETWORK_VARIABLES, SYSTEM_PATH, Github
from engines.gitlab import Gitlab
from engines.jenkins import Jenkins
from engines.machine import Machine
from engines.pythons import pythons as all_pythons

pytest_plugins = ["services.fixtures"]
collect_ignore_glob = ["projects/*"]

# What a CI platform tells its jobs: the suite may run in such a job, of which the tools under test must not hear.
OF_A_CI_JOB = (
    *("ACTIONS_", "GITHUB_", "RUNNER_"),
    *("CI_", "GITLAB_"),
    *(
        "BRANCH_IS_PRIMARY",
        "BRANCH_NAME",
        "BUILD_",
        "CHANGE_",
        "EXECUTOR_NUMBER",
        "HUDSON_",
        "JENKINS_",
        "JOB_",
        "TAG_",
    ),
    "BUILDKITE",
    "UV_ACTIONS_",
)
for variable in [name for name in os.environ if name.startswith(OF_A_CI_JOB)]:
    if not variable.startswith("UV_ACTIONS_TEST_"):
        del os.environ[variable]

ROOT = Path(__file__).resolve().parents[1]
PROJECTS = Path(__file__).resolve().parent / "projects"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips the tests of engines that `tests/run` leaves out, or couldn't get."""
    for name in os.environ.get("UV_ACTIONS_TEST_WITHOUT", "").split():
        for item in items:
            if ENGINES[name].fixtures & set(getattr(item, "fixturenames", ())):
                item.add_marker(pytest.mark.skip(reason=f"without {name}"))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this session share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release tree, built from the working copy."""
    folder = tmp_path_factory.mktemp("release") / "tree"
    subprocess.run([sys.executable, ROOT / "scripts" / "release_tree.py", "build", folder], check=True)
    return folder


@pytest.fixture(scope="session")
def machine(release: Path, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine of CI jobs that is not new: it has the uv of this release."""
    machine = Machine(release, shared)
    environment = {
        **{name: os.environ[name] for name in NETWORK_VARIABLES if name in os.environ},
        "PATH": SYSTEM_PATH,
        "HOME": str(tmp_path_factory.mktemp("home")),
        "RUNNER_TOOL_CACHE": str(machine.tool_cache),
    }
    installer = release / "scripts" / "install_uv.sh"
    subprocess.run(["sh", str(installer)], env=environment, cwd=release, check=True, stdout=subprocess.DEVNULL)
    return machine


@pytest.fixture
def new_github(machine: Machine, tmp_path: Path) -> Callable[[str], Github]:
    """Makes a GitHub, with this release as `org/uv-actions@v1` and its state in a folder of the given name."""
    return lambda name: machine.github(tmp_path / name)


@pytest.fixture
def github(new_github: Callable[[str], Github]) -> Github:
    """A GitHub of the test's own."""
    return new_github("github")


@pytest.fixture
def new_gitlab(machine: Machine, tmp_path: Path) -> Callable[[str], Gitlab]:
    """Makes a GitLab, with this release as `org/uv-actions` and its state in a folder of the given name."""
    # Without blanks, which gitlab-ci-local doesn't stand in its path.
    return lambda name: machine.gitlab(tmp_path / name.replace(" ", "-"))


@pytest.fixture
def gitlab(new_gitlab: Callable[[str], Gitlab]) -> Gitlab:
    """A GitLab of the test's own."""
    return new_gitlab("gitlab")


@pytest.fixture
def new_jenkins(machine: Machine, tmp_path: Path) -> Callable[[str], Jenkins]:
    """Makes a Jenkins, with this release as the library `uv-actions@v1` and its state in a folder of the given name."""
    return lambda name: machine.jenkins(tmp_path / name)


@pytest.fixture
def jenkins(new_jenkins: Callable[[str], Jenkins]) -> Jenkins:
    """A Jenkins of the test's own."""
    return new_jenkins("jenkins")


@pytest.fixture
def new_buildkite(machine: Machine, tmp_path: Path) -> Iterator[Callable[[str], Buildkite]]:
    """Makes a Buildkite with this release, and its state in a folder of the given name."""
    with AgentApi() as api:
        yield lambda name: machine.buildkite(tmp_path / name, api)


@pytest.fixture
def buildkite(new_buildkite: Callable[[str], Buildkite]) -> Buildkite:
    """A Buildkite of the test's own."""
    return new_buildkite("buildkite")


@pytest.fixture(scope="session")
def pythons() -> Callable[[], dict[str, Path]]:
    """The Pythons to be had: minor version -> interpreter. `3.10` and `3.14` always are, and the one of the tests."""
    return functools.cache(all_pythons)


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], Path]:
    """Copies `projects/<name>` into a git repository with one commit; the path has a space in it."""

    def copy(name: str) -> Path:
        folder = tmp_path / "my projects" / name
        shutil.copytree(PROJECTS / name, folder, ignore=shutil.ignore_patterns(".venv", "__pycache__", "dist"))
        commit_all(folder)
        return folder

    return copy


@pytest.fixture
def working_copy(tmp_path: Path) -> Path:
    """A copy of this repository's files as they are now, for a test to change and to commit."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    copy = tmp_path / "collection"
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture(name="commit_all")
def commit_all_fixture() -> Callable[[Path], None]:
    return commit_all


def commit_all(folder: Path) -> None:
    """Makes a folder a git repository where it isn't one, and commits all that is in it; always at the same time."""
    identity = ["-c", "user.name=ci", "-c", "user.email=ci@example.org", "-c", "commit.gpgsign=false"]
    when = {"GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z"}
    for arguments in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        [*identity, "commit", "-q", "--allow-empty", "-m", "c"],
    ):
        subprocess.run(["git", *arguments], cwd=folder, env={**os.environ, **when}, check=True)
