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
from engines import actions_cache
from engines.buildkite import Buildkite, plugin_repository
from engines.buildkite_agent import buildkite_agent
from engines.buildkite_api import AgentApi
from engines.fetch import ENGINES
from engines.github import NETWORK_VARIABLES, SYSTEM_PATH, Github
from engines.gitlab import Gitlab, collection_repository
from engines.jenkins import LIBRARY, Jenkins
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
def tool_cache(release: Path, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runner's tool folder that has the uv of this release, as a runner has that is not new."""
    folder = shared / "tool-cache"
    environment = {
        **{name: os.environ[name] for name in NETWORK_VARIABLES if name in os.environ},
        "PATH": SYSTEM_PATH,
        "HOME": str(tmp_path_factory.mktemp("home")),
        "RUNNER_TOOL_CACHE": str(folder),
    }
    installer = release / "scripts" / "install_uv.sh"
    subprocess.run(["sh", str(installer)], env=environment, cwd=release, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture
def new_github(release: Path, tool_cache: Path, shared: Path, tmp_path: Path) -> Callable[[str], Github]:
    """Makes a GitHub, with this release as `org/uv-actions@v1` and its state in a folder of the given name."""

    def make(name: str) -> Github:
        return Github(
            tmp_path / name,
            releases={"v1": release},
            actions={"actions/cache": actions_cache.action(shared)},
            tool_cache=tool_cache,
            tools_cache=shared / "tools",
            python=Path(getattr(sys, "_base_executable", sys.executable)),
        )

    return make


@pytest.fixture
def github(new_github: Callable[[str], Github]) -> Github:
    """A GitHub of the test's own."""
    return new_github("github")


@pytest.fixture(scope="session")
def buildkite_plugins(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository `uv-actions.git` that holds the release tree."""
    return plugin_repository(release, tmp_path_factory.mktemp("org"))


@pytest.fixture
def new_buildkite(
    release: Path, buildkite_plugins: Path, tool_cache: Path, shared: Path, tmp_path: Path
) -> Iterator[Callable[[str], Buildkite]]:
    """Makes a Buildkite with this release, and its state in a folder of the given name."""
    with AgentApi() as api:

        def make(name: str) -> Buildkite:
            return Buildkite(
                tmp_path / name,
                agent=buildkite_agent(),
                api=api,
                plugins=buildkite_plugins,
                release=release,
                tool_cache=tool_cache / "uv-actions" / "uv",
                tools_cache=shared / "tools",
                python=Path(getattr(sys, "_base_executable", sys.executable)),
            )

        yield make


@pytest.fixture
def buildkite(new_buildkite: Callable[[str], Buildkite]) -> Buildkite:
    """A Buildkite of the test's own."""
    return new_buildkite("buildkite")


@pytest.fixture
def new_jenkins(release: Path, tool_cache: Path, shared: Path, tmp_path: Path) -> Callable[[str], Jenkins]:
    """Makes a Jenkins, with this release as the library `uv-actions@v1` and its state in a folder of the given name."""

    def make(name: str) -> Jenkins:
        return Jenkins(
            tmp_path / name,
            libraries={f"{LIBRARY}@v1": release},
            python=Path(getattr(sys, "_base_executable", sys.executable)),
            env={
                "UV_ACTIONS_TOOL_DIR": str(tool_cache / "uv-actions" / "uv"),
                "UV_ACTIONS_TOOLS_CACHE": str(shared / "tools"),
            },
        )

    return make


@pytest.fixture
def jenkins(new_jenkins: Callable[[str], Jenkins]) -> Jenkins:
    """A Jenkins of the test's own."""
    return new_jenkins("jenkins")


@pytest.fixture(scope="session")
def collection(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository that has the release tree under its tags."""
    return collection_repository(release, tmp_path_factory.mktemp("collection"))


@pytest.fixture
def new_gitlab(
    release: Path, collection: Path, tool_cache: Path, shared: Path, tmp_path: Path
) -> Callable[[str], Gitlab]:
    """Makes a GitLab, with this release as `org/uv-actions` and its state in a folder of the given name."""

    def make(name: str) -> Gitlab:
        return Gitlab(
            tmp_path / name,
            release=release,
            collection=collection,
            tool_cache=tool_cache,
            tools_cache=shared / "tools",
            python=Path(getattr(sys, "_base_executable", sys.executable)),
        )

    return make


@pytest.fixture
def gitlab(new_gitlab: Callable[[str], Gitlab]) -> Gitlab:
    """A GitLab of the test's own."""
    return new_gitlab("gitlab")


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
