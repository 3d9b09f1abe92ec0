"""A machine of CI jobs, and the four engines on it: what jobs share there, and what each engine needs to start."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from engines import actions_cache
from engines.buildkite import Buildkite, plugin_repository
from engines.buildkite_agent import buildkite_agent
from engines.buildkite_api import AgentApi
from engines.github import Github
from engines.gitlab import Gitlab, collection_repository
from engines.jenkins import LIBRARY, Jenkins


class Machine:
    """`release` is the release tree that jobs use; `shared` a folder for what jobs of all engines leave to others.

    An engine keeps its own state in the new folder that it is made with.
    """

    def __init__(self, release: Path, shared: Path) -> None:
        self.release = release
        self.shared = shared
        self.tool_cache = shared / "tool-cache"
        self.tools_cache = shared / "tools"
        self.python = Path(getattr(sys, "_base_executable", sys.executable))

    def github(self, folder: Path) -> Github:
        """A GitHub with this release as `org/uv-actions@v1`."""
        return Github(
            folder,
            releases={"v1": self.release},
            actions={"actions/cache": actions_cache.action(self.shared)},
            tool_cache=self.tool_cache,
            tools_cache=self.tools_cache,
            python=self.python,
        )

    def gitlab(self, folder: Path) -> Gitlab:
        """A GitLab with this release as the project `org/uv-actions`."""
        return Gitlab(
            folder,
            release=self.release,
            collection=self._collection,
            tool_cache=self.tool_cache,
            tools_cache=self.tools_cache,
            python=self.python,
        )

    def jenkins(self, folder: Path) -> Jenkins:
        """A Jenkins with this release as the library `uv-actions@v1`."""
        return Jenkins(
            folder,
            libraries={f"{LIBRARY}@v1": self.release},
            python=self.python,
            env={
                "UV_ACTIONS_TOOL_DIR": str(self.tool_cache / "uv-actions" / "uv"),
                "UV_ACTIONS_TOOLS_CACHE": str(self.tools_cache),
            },
        )

    def buildkite(self, folder: Path, api: AgentApi) -> Buildkite:
        """A Buildkite whose agents talk to `api`, with this release as a repository of plugins."""
        return Buildkite(
            folder,
            agent=buildkite_agent(),
            api=api,
            plugins=self._plugins,
            release=self.release,
            tool_cache=self.tool_cache / "uv-actions" / "uv",
            tools_cache=self.tools_cache,
            python=self.python,
        )

    @contextmanager
    def engine(self, platform: str, folder: Path) -> Generator[Github | Gitlab | Jenkins | Buildkite]:
        """The engine of a platform, with what it needs for as long as it is used."""
        with AgentApi() as api:
            yield self.buildkite(folder, api) if platform == "buildkite" else getattr(self, platform)(folder)

    # Each worker of a test run has a machine of its own, and they share the folder.

    @cached_property
    def _collection(self) -> Path:
        return collection_repository(self.release, Path(tempfile.mkdtemp(prefix="collection-", dir=self.shared)))

    @cached_property
    def _plugins(self) -> Path:
        return plugin_repository(self.release, Path(tempfile.mkdtemp(prefix="plugins-", dir=self.shared)))
