#!/usr/bin/env -S uv run --no-config --locked --script
# /// script
# requires-python = ">=3.10"
# dependencies = ["tomli>=2; python_version < '3.11'"]
# ///
"""Says whether every uv lock of a repository is fresh, and for a drifted one what changed and what locking would do.

Use when: CI says "The lockfile at `uv.lock` needs to be updated", or a lock has merge markers.

It looks at each `uv.lock` and at each PEP 723 script with a lock (`tool.py.lock`). A fresh lock is confirmed without
network and credentials. No code of the checkout is run, unless `--build` allows it where only a build tells.

States: fresh; drifted; missing (a project that `--working-directory` or `--paths` names has no lock); broken (merge
markers, unreadable, newer schema, or not used by uv); needs-build (dependencies that only a build tells);
index-mismatch (fresh, but this machine's index is another one than the lock's: a warning, all others are errors).
"""

from __future__ import annotations

import argparse
import dataclasses
import glob
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from _common import (
    Exit,
    Failure,
    Finding,
    Items,
    Parser,
    add_summary,
    as_json,
    as_sarif,
    exit_for,
    find_uv,
    on_github,
    outputs_have_a_file,
    platform,
    run_main,
    say,
    set_outputs,
    trace,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# From fine to worst: the state of a run is the worst of its locks.
STATES = ("fresh", "index-mismatch", "needs-build", "drifted", "missing", "broken")


@dataclasses.dataclass(frozen=True)
class Rule:
    """A reason why a lock isn't simply fresh: the state it means, its level, and one sentence for SARIF."""

    state: str
    level: str
    sentence: str


RULES = {
    "drifted": Rule("drifted", "error", "The lock isn't what locking the project or script would give."),
    "missing": Rule("missing", "error", "The project or script has no lock."),
    "merge-markers": Rule("broken", "error", "The lock holds the markers of an unfinished merge."),
    "unreadable": Rule("broken", "error", "The lock can't be read."),
    "newer-schema": Rule("broken", "error", "The lock was written by a newer uv in a schema that this uv can't read."),
    "stray-lock": Rule("broken", "error", "The lock belongs to nothing, so uv never reads it."),
    "project-unreadable": Rule("broken", "error", "The pyproject.toml or script block of the lock can't be read."),
    "no-python": Rule("broken", "error", "No Python of this machine fits, so that uv could not check the lock."),
    "required-version": Rule("broken", "error", "The project asks for another version of uv."),
    "unchecked": Rule("broken", "error", "uv could not check the lock."),
    "needs-build": Rule("needs-build", "error", "Only a build tells the dependencies that the lock has to match."),
    "index-mismatch": Rule("index-mismatch", "warning", "The lock is fresh, but was made from another package index."),
}

# Variables that say where a machine gets packages from. A lock is judged with them, and without them before it is
# called drifted: a company's mirror in front of the index makes uv call a fresh lock outdated.
INDEX_VARIABLES = (
    "UV_CONFIG_FILE",
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_NO_INDEX",
)

# Variables with which locking itself gives another result; they count, and a drifted lock's message names them.
LOCKING_VARIABLES = ("UV_EXCLUDE_NEWER", "UV_FORK_STRATEGY", "UV_NO_SOURCES", "UV_PRERELEASE", "UV_RESOLUTION")

# Variables of the caller that uv doesn't get here: they say whether to check (which is what we are here for), name
# another project or an interpreter of the checkout, or change what may be built.
DROPPED_VARIABLES = (
    "CONDA_PREFIX",
    "RUST_LOG",
    "UV_FROZEN",
    "UV_ISOLATED",
    "UV_LOCKED",
    "UV_NO_BINARY",
    "UV_NO_BINARY_PACKAGE",
    "UV_NO_BUILD",
    "UV_NO_BUILD_ISOLATION",
    "UV_NO_BUILD_PACKAGE",
    "UV_NO_CONFIG",
    "UV_PROJECT",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_WORKING_DIR",
    "UV_WORKING_DIRECTORY",
    "VIRTUAL_ENV",
)

# The variable with the folder of the job's checkout, where `.git` doesn't show it.
CHECKOUTS = {
    "github": "GITHUB_WORKSPACE",
    "gitlab": "CI_PROJECT_DIR",
    "jenkins": "WORKSPACE",
    "buildkite": "BUILDKITE_BUILD_CHECKOUT_PATH",
}

# The longest that uv may take for a lock that has to be resolved anew, in seconds.
LIMIT = 300

MERGE_MARKER = re.compile(r"^(<<<<<<<|=======|>>>>>>>)( |$)", re.MULTILINE)


def main() -> int:
    options = parse_options()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Windows would write its code page; a file's name may hold bytes that are no text.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    repository = Repository.of(options.working_directory)
    targets = find_targets(repository, options.paths, options.scripts)
    if not targets:
        raise Failure(
            f"nothing to check: no lock was found in {repository.root}",
            "run `uv lock` and commit uv.lock, or name the project in `paths`",
        )
    with tempfile.TemporaryDirectory(prefix="uv-actions-") as scratch:
        checker = Checker(repository, Uv(find_uv(), repository.root, Path(scratch)), options.build, options.mirror)
        results = checker.check_all(targets)
    return tell(results, options)


def parse_options() -> argparse.Namespace:
    parser = Parser(prog="lock_check", description=__doc__)
    parser.add_folder("a project whose lock must exist (default: .)")
    parser.add_argument(
        "--paths",
        action=Items,
        metavar="PATH",
        help="check these alone, and ask for their locks: folders, pyproject.toml, locks, scripts or globs, relative to"
        " the working directory; `!glob` leaves out",
    )
    parser.add_argument(
        "--scripts", action=argparse.BooleanOptionalAction, default=True, help="check locks of scripts (default: true)"
    )
    parser.add_argument(
        "--build",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="let uv run build code of the checkout where only it tells the dependencies (default: false)",
    )
    parser.add_argument(
        "--fail-on",
        choices=("error", "warning", "never"),
        default="error",
        help="the level of findings that gives exit code 1 (default: error)",
    )
    parser.add_mirror("the package index of this machine: locks made from another one are fresh")
    parser.add_argument("--format", choices=("text", "json", "sarif"), default="text", help="of stdout (default: text)")
    return parser.parse_args()


# ---------------------------------------------------------------------------------------------------------------------
# Find


@dataclasses.dataclass(frozen=True)
class Target:
    """One lock to check. Paths are relative to the repository's root, with `/`.

    `source` is the pyproject.toml or the script; `stray` says why nothing uses the lock.
    """

    lock: str
    source: str
    stray: str = ""

    @property
    def is_script(self) -> bool:
        return Path(self.lock).name != "uv.lock"


@dataclasses.dataclass(frozen=True)
class Repository:
    """The folder that findings are relative to, the working directory in it, and its locks and pyproject.toml files."""

    root: Path
    here: str
    files: frozenset[str]

    @classmethod
    def of(cls, folder: Path) -> Repository:
        here = folder.resolve()
        root = next((each for each in (here, *here.parents) if (each / ".git").exists()), None)
        files = list_by_git(root) if root else None
        if root is None:
            workspace = Path(os.environ.get(CHECKOUTS.get(platform(), "")) or here).resolve()
            root = workspace if here.is_relative_to(workspace) else here
        if files is None:
            files = list_by_walk(root)
        return cls(root, relative(here, root), frozenset(each for each in files if (root / each).is_file()))

    def read_toml(self, path: str) -> dict[str, Any]:
        """A TOML file of the repository; `Unreadable` with the line where it isn't TOML."""
        return parse_toml(read_text(self.root / path, path), path)

    def has_project(self, folder: str) -> bool:
        """Whether uv can make a lock for that folder: its pyproject.toml is a project or a workspace's root."""
        path = join(folder, "pyproject.toml")
        if not (self.root / path).is_file():
            return False
        try:
            document = self.read_toml(path)
        except Unreadable:
            return True
        settings = uv_table(document)
        return settings.get("managed") is not False and ("project" in document or "workspace" in settings)

    def workspace_of(self, folder: str) -> str | None:
        """The root folder of the workspace that has this folder as a member, if it is one."""
        for parent in parents(folder):
            path = join(parent, "pyproject.toml")
            if not (self.root / path).is_file():
                continue
            try:
                workspace = uv_table(self.read_toml(path)).get("workspace")
            except Unreadable:
                return None
            if isinstance(workspace, dict):
                inside = folder[len(parent) + 1 :] if parent else folder
                member = any(as_regex(str(each)).fullmatch(inside) for each in entries(workspace, "members"))
                excluded = any(as_regex(str(each)).fullmatch(inside) for each in entries(workspace, "exclude"))
                return parent if member and not excluded else None
        return None

    def find_setting(self, folder: str, name: str) -> tuple[str, int]:
        """The file and line of a setting of uv in the nearest uv.toml or pyproject.toml; an empty file without one."""
        for path in (join(each, file) for each in (folder, *parents(folder)) for file in ("uv.toml", "pyproject.toml")):
            if (self.root / path).is_file():
                lines = Lines.of(self.root, path)
                line = lines.find(rf"\s*{name}\s*=")
                if re.match(rf"\s*{name}\s*=", lines.lines[line - 1]):
                    return path, line
        return "", 1


def list_by_git(root: Path) -> list[str] | None:
    """The locks and pyproject.toml files that git knows or would add; none where git is absent or refuses.

    A checkout's own configuration names programmes; the one that `ls-files` could start is switched off.
    """
    git = outside_tool("git", root)
    if git is None:
        return None
    command = [git, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=", "ls-files", "-z", "--cached", "--others"]
    command += ["--exclude-standard", "--", "*.lock", "*pyproject.toml"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    trace(command)
    run = subprocess.run(command, cwd=root, env=environment, capture_output=True, check=False)
    if run.returncode != 0:
        return None
    return [os.fsdecode(each) for each in run.stdout.split(b"\0") if each]


def list_by_walk(root: Path) -> list[str]:
    """The same without git: everything but what is never a project's own."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [each for each in folders if each not in (".git", ".venv", "venv", "node_modules", ".tox", ".nox")]
        found += [
            relative(Path(folder, each), root) for each in files if each.endswith(".lock") or each == "pyproject.toml"
        ]
    return found


def find_targets(repository: Repository, paths: Sequence[str], scripts: bool) -> list[Target]:
    """What to check: all locks, or those under `paths`; and locks that should exist, because a project was named."""
    if paths:
        locks = named_locks(repository, paths)
    else:
        locks = {each for each in repository.files if each.endswith(".lock")}
        if repository.has_project(repository.here):
            locks.add(lock_of_project(repository, repository.here))
    targets = (as_target(repository, lock) for lock in sorted(locks))
    return [each for each in targets if each and (scripts or not each.is_script)]


def named_locks(repository: Repository, paths: Sequence[str]) -> set[str]:
    """The locks, there or not, that the items of `paths` stand for."""
    left_out = [as_regex(join(repository.here, each[1:].strip("/"))) for each in paths if each.startswith("!")]
    locks: set[str] = set()
    for item in paths:
        if item.startswith("!"):
            continue
        found = list(expand(repository, item))
        if not found:
            raise Failure(
                f"`paths` has {item!r}, which names no project, script or lock", "correct or remove that line"
            )
        locks.update(found)
    if not any(not item.startswith("!") for item in paths):
        locks = {each for each in repository.files if each.endswith(".lock")}
    return {
        lock
        for lock in locks
        if not any(regex.fullmatch(each) for regex in left_out for each in (lock, *parents(lock)))
    }


def expand(repository: Repository, item: str) -> Iterator[str]:
    """The locks that one item of `paths` stands for."""
    folder = repository.root / repository.here
    literal = (folder / item).exists() or not {*"*?["} & {*item}
    names = [item] if literal else glob.glob(item, root_dir=folder, recursive=True)
    for name in names:
        absolute = Path(os.path.abspath(folder / name))
        if not absolute.is_relative_to(repository.root):
            raise Failure(f"`paths` has {item!r}, which lies outside of {repository.root}", "name paths inside of it")
        path = relative(absolute, repository.root)
        if absolute.is_dir():
            if repository.has_project(path):
                yield lock_of_project(repository, path)
            yield from (
                each
                for each in repository.files
                if each.endswith(".lock") and (not path or each.startswith(f"{path}/"))
            )
        elif absolute.name == "pyproject.toml":
            yield lock_of_project(repository, split(path)[0])
        elif path.endswith(".lock"):
            source = join(split(path)[0], "pyproject.toml") if absolute.name == "uv.lock" else path[: -len(".lock")]
            if absolute.is_file() or (repository.root / source).is_file():
                yield path
        elif absolute.is_file() and has_script_block(absolute):
            yield f"{path}.lock"


def lock_of_project(repository: Repository, folder: str) -> str:
    """Where uv keeps the lock of the project in this folder: with its workspace's root, if it is a member."""
    workspace = repository.workspace_of(folder)
    return join(folder if workspace is None else workspace, "uv.lock")


def as_target(repository: Repository, lock: str) -> Target | None:
    """What the lock file belongs to; none if it isn't a lock of uv (`poetry.lock`, `Cargo.lock`)."""
    folder, name = split(lock)
    if name == "uv.lock":
        source = join(folder, "pyproject.toml")
        if not (repository.root / source).is_file():
            return Target(lock, source, stray=f"there is no pyproject.toml beside {lock}")
        workspace = repository.workspace_of(folder)
        if workspace is None:
            return Target(lock, source)
        root = join(workspace, "pyproject.toml")
        used = join(workspace, "uv.lock")
        return Target(lock, source, stray=f"{folder} is a member of the workspace in {root}: uv reads {used} alone")
    source = lock[: -len(".lock")]
    script = repository.root / source
    if script.is_file() and has_script_block(script):
        return Target(lock, source)
    if name.endswith(".py.lock"):
        why = f"{source} has no PEP 723 block" if script.is_file() else f"there is no script {source}"
        return Target(lock, source, stray=why)
    return None


# ---------------------------------------------------------------------------------------------------------------------
# Check


@dataclasses.dataclass
class Result:
    """What was found out about one lock.

    `project_changes` says what changed since locking, `lock_changes` what locking would do; `unavailable` why that
    isn't known. `file` and `line` are the place to look at.
    """

    target: Target
    rule: str = ""
    reason: str = ""
    file: str = ""
    line: int = 0
    project_changes: list[Change] = dataclasses.field(default_factory=list)
    lock_changes: list[LockChange] = dataclasses.field(default_factory=list)
    unavailable: str = ""

    @property
    def state(self) -> str:
        return RULES[self.rule].state if self.rule else "fresh"


@dataclasses.dataclass(frozen=True)
class Change:
    """One difference between what the project asks for and what its lock remembers of it."""

    text: str
    file: str
    line: int


@dataclasses.dataclass(frozen=True)
class LockChange:
    """One thing that locking would do: `add`, `remove`, `upgrade` or `downgrade`."""

    action: str
    name: str
    old: str
    new: str

    def __str__(self) -> str:
        versions = f"{self.old} → {self.new}" if self.old and self.new else self.old or self.new
        return f"{self.action} {self.name} {versions}"


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What is read of a lock and its project before uv is asked.

    `documents` are the pyproject.toml files (or the script's block) by path; `registries` the lock's index URLs.
    `python_request` is what an interpreter must be to lock with; `dynamic` names files that leave it to a build.
    """

    lock_text: str
    documents: dict[str, dict[str, Any]]
    registries: list[str]
    python_request: str
    suits_this_python: bool
    declares_default_index: bool
    dynamic: list[str]


@dataclasses.dataclass(frozen=True)
class Uv:
    """uv, started so that it runs no code of the checkout (`--no-build` alone still builds editable packages):

    an absolute interpreter, that of this tool, unless the project needs another one; no project environment to look
    into; no programme that lies in the checkout; a cache that the checkout doesn't choose; and `PYTHONHOME` without a
    Python, with which every interpreter that would start a build ends before it reads anything. uv asks interpreters
    for their version in isolated mode, which that doesn't reach.
    """

    path: str
    root: Path
    scratch: Path

    @property
    def no_python(self) -> str:
        return str(self.scratch / "no-code-of-the-checkout-is-run")

    def environment(self, build: bool, drop: Iterable[str] = ()) -> dict[str, str]:
        dropped = {*DROPPED_VARIABLES, *drop}
        environment = {name: value for name, value in os.environ.items() if name.upper() not in dropped}
        environment |= {
            "NO_COLOR": "1",
            "PATH": outside_path(self.root),
            "UV_CACHE_DIR": cache_folder(),
            "UV_NO_PROGRESS": "1",
            "UV_PROJECT_ENVIRONMENT": str(self.scratch / "no-environment"),
        }
        return environment if build else environment | {"PYTHONHOME": self.no_python}

    def run(self, folder: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
        """Exit code and stderr of uv; 124 if it didn't end in time."""
        trace([self.path, *arguments])
        try:
            run = subprocess.run(
                [self.path, *arguments],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return 124, f"error: no answer in {LIMIT} seconds"
        return run.returncode, run.stderr

    def fetch_python(self, request: str) -> None:
        """Lets uv download an interpreter that fits, if the caller allows it: from where uv's defaults or the caller's
        variables say, never from where settings of the checkout do."""
        place = tempfile.mkdtemp(dir=self.scratch)
        command = ["venv", "--no-project", "--no-config", "--clear", "--python", request, place]
        self.run(self.scratch, command, self.environment(build=False))

    def find_python(self, request: str) -> str | None:
        """The absolute path of an interpreter of this machine, outside of any environment, that fits."""
        environment = self.environment(build=False)
        command = [self.path, "python", "find", "--no-project", "--no-config", "--system", "--offline", request]
        trace(command)
        run = subprocess.run(
            command, cwd=self.scratch, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
        )
        return run.stdout.strip() if run.returncode == 0 else None


@dataclasses.dataclass(frozen=True)
class Checker:
    """Decides the state of locks. `mirror` means: the machine's index is known to be another one than the lock's."""

    repository: Repository
    uv: Uv
    build: bool
    mirror: str

    def check_all(self, targets: Sequence[Target]) -> list[Result]:
        if len(targets) == 1:
            return [self.check(targets[0])]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max_workers=min(8, 2 * (os.cpu_count() or 1))) as pool:
            return list(pool.map(self.check, targets))

    def check(self, target: Target) -> Result:
        if target.stray:
            return Result(target, "stray-lock", f"{target.stray}.", target.lock, 1)
        if not (self.repository.root / target.lock).is_file():
            return Result(target, "missing", f"{target.source} has no lock.", target.source, 1)
        try:
            inputs = self.read(target)
        except Unreadable as error:
            rule = "unreadable" if error.path == target.lock else "project-unreadable"
            return Result(target, rule, f"{error.path} can't be read: {error.why}.", error.path, error.line)
        if inputs.dynamic and not self.build:
            file = inputs.dynamic[0]
            line = Lines.of(self.repository.root, file).find(r"\s*dynamic\s*=")
            return Result(target, "needs-build", "Its dependencies are dynamic: only a build tells them.", file, line)
        return self.ask_uv(target, inputs)

    def read(self, target: Target) -> Inputs:
        """Reads a lock, and the metadata of the packages of the checkout that it holds."""
        root = self.repository.root
        text = read_text(root / target.lock, target.lock)
        folder = split(target.lock)[0]
        if target.is_script:
            documents = {target.source: script_block(root / target.source, target.source)}
        else:
            documents = {target.source: self.repository.read_toml(target.source)}
        settings = uv_table(documents[target.source])
        described = {
            str(each.get("name")) for each in entries(settings, "dependency-metadata") if isinstance(each, dict)
        }
        dynamic = []
        for local in dict.fromkeys(
            re.findall(r'^source = \{ (?:editable|directory|virtual) = "(.*?)"', text, re.MULTILINE)
        ):
            place = os.path.normpath(root / folder / local)
            path = relative(Path(place, "pyproject.toml"), root)
            if os.path.isfile(Path(place, "pyproject.toml")):
                document = documents.get(path) or self.repository.read_toml(path)
                documents[path] = document
                if (
                    is_dynamic(document, own=path == target.source)
                    and table(document, "project").get("name") not in described
                ):
                    dynamic.append(path)
            elif os.path.isfile(Path(place, "setup.py")):
                dynamic.append(relative(Path(place, "setup.py"), root))
        asked = [
            (each if target.is_script else table(each, "project")).get("requires-python") for each in documents.values()
        ]
        asked_python = ",".join(dict.fromkeys(str(each) for each in asked if each))
        # Where nothing asks for a Python, the lock holds the one it was made with, and is only fresh with that one.
        locked_python = re.search(r'^requires-python = ">=(3\.\d+)"', text, re.MULTILINE)
        locked_minor = locked_python[1] if locked_python and not asked_python else ""
        return Inputs(
            lock_text=text,
            documents=documents,
            registries=list(dict.fromkeys(re.findall(r'source = \{ registry = "(\w+://.*?)"', text))),
            python_request=asked_python or locked_minor,
            suits_this_python=locked_minor in ("", f"3.{sys.version_info.minor}"),
            declares_default_index=declares_default_index(root / folder, settings),
            dynamic=dynamic,
        )

    def ask_uv(self, target: Target, inputs: Inputs) -> Result:
        """Asks uv, first without network; what isn't fresh then is examined from the surest cause to the least sure."""
        own = [] if inputs.declares_default_index else [f"--index={each}" for each in inputs.registries]
        machine = own if self.mirror else None
        python = sys.executable if inputs.suits_this_python else self.fitting_python(inputs.python_request)
        if python is None:
            return self.without_python(target, inputs)
        code, words = self.lock(target, ["--check"], python, offline=True, own_index=machine)
        if code == 0:
            return Result(target)
        broken = self.examine(target, inputs, words)
        if broken:
            return broken
        if code != 1 and python == sys.executable and inputs.python_request:
            # Perhaps because this tool's Python is one that the project excludes.
            python = self.fitting_python(inputs.python_request)
            if python is None:
                return self.without_python(target, inputs)
            if self.lock(target, ["--check"], python, offline=True, own_index=machine)[0] == 0:
                return Result(target)
        if not self.mirror and self.lock(target, ["--check"], python, offline=True, own_index=own)[0] == 0:
            return self.index_mismatch(target, inputs)
        return self.drifted(target, inputs, python)

    def fitting_python(self, request: str) -> str | None:
        """An interpreter of this machine that fits; uv downloads one first where there is none and that is allowed."""
        found = self.uv.find_python(request)
        if found is None:
            self.uv.fetch_python(request)
            found = self.uv.find_python(request)
        return found

    def without_python(self, target: Target, inputs: Inputs) -> Result:
        """What can be said without uv."""
        reason = f"No Python on this machine fits `{inputs.python_request}`, and uv could not download one."
        changes = compare(self.repository.root, target, inputs)
        if not changes:
            return Result(target, "no-python", reason, target.source, 1)
        first = changes[0]
        return Result(target, "drifted", "", first.file, first.line, project_changes=changes, unavailable=reason)

    def lock(
        self,
        target: Target,
        arguments: Sequence[str],
        python: str,
        *,
        offline: bool = False,
        own_index: Sequence[str] | None = None,
        index: str = "",
    ) -> tuple[int, str]:
        """One `uv lock` that writes nothing; with `own_index` this machine's index settings don't count."""
        environment = self.uv.environment(self.build, INDEX_VARIABLES if own_index is not None else ())
        if index:
            environment["UV_DEFAULT_INDEX"] = index
        command = ["lock", *arguments, "--python", python, *(own_index or ())]
        command += [] if self.build else ["--no-build"]
        # With `build: true` the check needs the network, since build requirements aren't in the lock.
        command += ["--offline"] if offline and not self.build else []
        command += ["--script", Path(target.source).name] if target.is_script else []
        return self.uv.run(self.repository.root / split(target.lock)[0], command, environment)

    def examine(self, target: Target, inputs: Inputs, words: str) -> Result | None:
        """Causes that lie in the files themselves."""
        marker = MERGE_MARKER.search(inputs.lock_text)
        if marker:
            line = inputs.lock_text.count("\n", 0, marker.start()) + 1
            return Result(target, "merge-markers", "It has the markers of an unfinished merge.", target.lock, line)
        try:
            version = parse_toml(inputs.lock_text, target.lock).get("version")
        except Unreadable as error:
            return Result(target, "unreadable", f"It isn't valid TOML: {error.why}.", target.lock, error.line)
        if not isinstance(version, int):
            return Result(target, "unreadable", "It has no `version`.", target.lock, 1)
        if version > 1:
            return Result(
                target, "newer-schema", f"Its schema is version {version}, which this uv can't read.", target.lock, 1
            )
        if "equired uv version" in words:
            file, line = self.repository.find_setting(split(target.lock)[0], "required-version")
            return Result(target, "required-version", last_words(words), file or target.source, line)
        return None

    def was_refused(self, words: str) -> bool:
        """Whether uv ended because a build wasn't allowed: by our Python that can't start, or by `--no-build`."""
        return any(each in words for each in (self.uv.no_python, "`--no-build`", "Building source distributions"))

    def index_mismatch(self, target: Target, inputs: Inputs) -> Result:
        indexes = ", ".join(inputs.registries) or "no index"
        reason = f"The lock is fresh, but was made from {indexes}; this machine uses another default index."
        return Result(target, "index-mismatch", reason, target.lock, 1)

    def drifted(self, target: Target, inputs: Inputs, python: str) -> Result:
        result = Result(target, "drifted", file=target.source, line=1)
        result.project_changes = compare(self.repository.root, target, inputs)
        code, words = self.lock(target, ["--dry-run"], python, index=self.mirror)
        if code == 0:
            result.lock_changes = parse_changes(words)
            if not result.lock_changes and self.lock(target, ["--check"], python, index=self.mirror)[0] == 0:
                return Result(target)
        else:
            result.unavailable = last_words(words)
            if inputs.dynamic and not result.project_changes:
                reason = f"The build that tells its dependencies failed: {result.unavailable}"
                return Result(target, "needs-build", reason, inputs.dynamic[0], 1)
            if not result.project_changes and self.was_refused(words):
                return Result(target, "needs-build", "Only a build tells its dependencies.", target.source, 1)
            readable = self.lock(target, ["--check-exists"], python, offline=True)[0] == 0
            if not readable:
                return Result(target, "unchecked", result.unavailable, target.source, 1)
        if result.project_changes:
            result.file, result.line = result.project_changes[0].file, result.project_changes[0].line
        return result


# ---------------------------------------------------------------------------------------------------------------------
# Explain a drift

# What is asked for, by (place, normalised name): place is "dependencies", "extra `x`" or "group `x`". More than one
# text where markers tell variants apart; the markers themselves are left to uv.
Requirements = dict[tuple[str, str], set[str]]

# Name, extras, and either a URL or version clauses of a requirement (PEP 508), without its marker.
REQUIREMENT = re.compile(r"\s*([\w.-]+)\s*(?:\[([^]]*)\])?\s*(?:@\s*(\S+)|\(?([^;)]*))")


def compare(root: Path, target: Target, inputs: Inputs) -> list[Change]:
    """What the project asks for now, beside what its lock remembers of it.

    This explains and never decides: whether two markers or sources mean the same is uv's to judge.
    """
    lock = parse_toml(inputs.lock_text, target.lock)
    changes: list[Change] = []
    asked_python: list[tuple[Lines, str]] = []
    if target.is_script:
        block, lines = inputs.documents[target.source], Lines.of(root, target.source)
        locked = of_lock({"dependencies": entries(table(lock, "manifest"), "requirements")})
        wanted = of_project({"dependencies": entries(block, "dependencies")}, table(uv_table(block), "sources"))
        changes += compare_requirements(lines, locked, wanted)
        asked_python += [(lines, str(block["requires-python"]))] if "requires-python" in block else []
    else:
        folder = split(target.lock)[0]
        packages = {local_folder(folder, each): each for each in entries(lock, "package") if isinstance(each, dict)}
        shared_sources = table(uv_table(inputs.documents[target.source]), "sources")
        for path, document in inputs.documents.items():
            lines = Lines.of(root, path)
            project = table(document, "project")
            if split(path)[0] in packages:
                sources = shared_sources | table(uv_table(document), "sources")
                changes += compare_package(lines, packages[split(path)[0]], document, sources)
            asked_python += [(lines, str(project["requires-python"]))] if "requires-python" in project else []
    locked_python = str(lock.get("requires-python", ""))
    if asked_python and clauses(locked_python) not in [clauses(text) for _, text in asked_python]:
        lines, text = asked_python[0]
        text = f"requires-python is `{text}`, locked was `{locked_python}`"
        changes.append(Change(text, lines.path, lines.find(r".*requires-python\s*=")))
    return changes


def compare_package(
    lines: Lines, package: Mapping[str, Any], document: Mapping[str, Any], sources: Mapping[str, Any]
) -> list[Change]:
    """The differences of one package of the checkout: its version, and its requirements with extras and groups."""
    project, metadata = table(document, "project"), table(package, "metadata")
    changes = []
    version, locked_version = str(project.get("version", "")), str(package.get("version", ""))
    if version and locked_version and version_key(version) != version_key(locked_version):
        text = f"version is {version}, locked was {locked_version}"
        changes.append(Change(text, lines.path, lines.find(r"version\s*=")))
    groups = table(document, "dependency-groups")
    wanted = {f"group `{normal(name)}`": expand_group(groups, name) for name in groups}
    legacy = entries(uv_table(document), "dev-dependencies")
    if legacy:
        wanted["group `dev`"] = [*wanted.get("group `dev`", []), *legacy]
    remembered = table(metadata, "requires-dev")
    locked = {f"group `{name}`": entries(remembered, name) for name in remembered}
    if not is_dynamic(document, own=True):
        wanted["dependencies"] = entries(project, "dependencies")
        extras = table(project, "optional-dependencies")
        wanted |= {f"extra `{normal(name)}`": entries(extras, name) for name in extras}
        for each in entries(metadata, "requires-dist"):
            extra = re.search(r"extra == '([^']+)'", str(each.get("marker", ""))) if isinstance(each, dict) else None
            locked.setdefault(f"extra `{extra[1]}`" if extra else "dependencies", []).append(each)
    return changes + compare_requirements(lines, of_lock(locked), of_project(wanted, sources))


def compare_requirements(lines: Lines, locked: Requirements, wanted: Requirements) -> list[Change]:
    """One change for each requirement that was added, removed or is another one now, in the order of their lines."""
    changes = []
    for place, name in sorted({*locked, *wanted}):
        old = quoted(locked.get((place, name), ()))
        new = quoted(wanted.get((place, name), ()))
        if old == new:
            continue
        line = lines.find_requirement(place, name)
        if not old:
            changes.append(Change(f"{new} was added to {place}", lines.path, line))
        elif not new:
            changes.append(Change(f"{old} was removed from {place}", lines.path, line))
        else:
            changes.append(Change(f"{new} is in {place}, locked was {old}", lines.path, line))
    return sorted(changes, key=lambda change: change.line)


def of_lock(tables: Mapping[str, Iterable[Any]]) -> Requirements:
    """The requirements that a lock remembers."""
    found: Requirements = {}
    for place, requirements in tables.items():
        for each in requirements:
            if not isinstance(each, dict) or not isinstance(each.get("name"), str):
                continue
            source = ""
            if "git" in each or "url" in each:
                source = str(each.get("git", each.get("url")))
            elif {"path", "directory", "editable", "virtual"} & each.keys():
                source = "this checkout"
            text = requirement_text(
                each["name"], map(str, entries(each, "extras")), str(each.get("specifier", "")), source
            )
            found.setdefault((place, normal(each["name"])), set()).add(text)
    return found


def of_project(tables: Mapping[str, Iterable[Any]], sources: Mapping[str, Any]) -> Requirements:
    """The requirements that a pyproject.toml or a script states, with what `tool.uv.sources` says of them."""
    by_name = {normal(name): source for name, source in sources.items()}
    found: Requirements = {}
    for place, requirements in tables.items():
        for entry in requirements:
            parts = REQUIREMENT.match(entry) if isinstance(entry, str) else None
            if not parts:
                continue
            name, extras, url, specifier = parts.groups()
            alternatives = by_name.get(normal(name), {})
            for each in alternatives if isinstance(alternatives, list) else [alternatives]:
                source = source_text(each if isinstance(each, dict) else {}) or (direct_url(url) if url else "")
                text = requirement_text(name, (extras or "").split(","), specifier or "", source)
                found.setdefault((place, normal(name)), set()).add(text)
    return found


def source_text(source: Mapping[str, Any]) -> str:
    """An entry of `tool.uv.sources` as a lock writes it; empty for an index."""
    if "git" in source:
        query = [f"{key}={source[key]}" for key in ("subdirectory", "rev", "tag", "branch") if key in source]
        return f"{source['git']}{'?' if query else ''}{'&'.join(query)}"
    if "path" in source or source.get("workspace"):
        return "this checkout"
    return str(source.get("url", ""))


def direct_url(url: str) -> str:
    """The URL of `name @ url` as a lock writes it."""
    git = re.fullmatch(r"git\+(.+?)(?:@([^/@]+))?", url)
    if not git:
        return url
    return f"{git[1]}?rev={git[2]}" if git[2] else git[1]


def requirement_text(name: str, extras: Iterable[str], specifier: str, source: str) -> str:
    """`name[extra]>=1,<2` or `name @ source`, in one spelling."""
    given = ",".join(sorted(normal(each) for each in extras if each.strip()))
    wanted = f" @ {source}" if source else ",".join(sorted(clauses(specifier)))
    return f"{normal(name)}{f'[{given}]' if given else ''}{wanted}"


def expand_group(groups: Mapping[str, Any], name: str, seen: tuple[str, ...] = ()) -> list[Any]:
    """The requirements of a dependency group with those that it includes (PEP 735)."""
    items: list[Any] = []
    for each in entries(groups, name):
        if isinstance(each, dict) and "include-group" in each:
            included = next((key for key in groups if normal(key) == normal(str(each["include-group"]))), "")
            items += expand_group(groups, included, (*seen, name)) if included not in (*seen, name) else []
        else:
            items.append(each)
    return items


def parse_changes(words: str) -> list[LockChange]:
    """What `uv lock --dry-run` says that it would do: lines `Add x v1`, `Remove x v1`, `Update x v1 -> v2`."""
    changes = []
    for line in words.splitlines():
        update = re.fullmatch(r"Update (\S+) (.+) -> (.+)", line)
        other = re.fullmatch(r"(Add|Remove) (\S+) (.+)", line)
        if update:
            old, new = update[2].replace("v", "", 1), update[3].replace("v", "", 1)
            down = version_key(new) < version_key(old)
            changes.append(LockChange("downgrade" if down else "upgrade", update[1], old, new))
        elif other:
            version = other[3].replace("v", "", 1)
            added = other[1] == "Add"
            changes.append(LockChange(other[1].lower(), other[2], "" if added else version, version if added else ""))
    return changes


def version_key(version: str) -> tuple[tuple[int, ...], int, int]:
    """An order of versions that is good enough to say "upgrade": release, then pre-release before final before post."""
    release = re.match(r"v?(?:\d+!)?(\d+(?:\.\d+)*)", version.strip())
    numbers = [int(each) for each in release[1].split(".")] if release else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    kinds = {"dev": 0, "a": 1, "alpha": 1, "b": 2, "beta": 2, "c": 3, "rc": 3, "post": 5}
    suffix = re.match(r"[-_.]?(dev|alpha|a|beta|b|rc|c|post)[-_.]?(\d*)", version[release.end() :]) if release else None
    return tuple(numbers), kinds[suffix[1]] if suffix else 4, int(suffix[2] or 0) if suffix else 0


@dataclasses.dataclass(frozen=True)
class Lines:
    """A file's lines, to find the one that a person has to look at."""

    path: str
    lines: list[str]

    @classmethod
    def of(cls, root: Path, path: str) -> Lines:
        return cls(path, (root / path).read_text(encoding="utf-8", errors="replace").splitlines())

    def find(self, pattern: str, after: int = 0) -> int:
        """The number of the first line below line `after` that begins like this; else `after`, at least 1."""
        for number, line in enumerate(self.lines[after:], after + 1):
            if re.match(pattern, line):
                return number
        return max(after, 1)

    def find_requirement(self, place: str, name: str) -> int:
        """The line of a requirement, or of the table where it was."""
        kind, _, key = place.rstrip("`").partition(" `")
        start = self.find({"extra": r".*optional-dependencies", "group": r".*dependency-groups"}.get(kind, ""))
        start = self.find(rf"""(?i)(#\s*)?["']?{spelling(key or kind)}["']?\s*=""", start - 1)
        return max(start, self.find(rf"""(?i).*["']\s*{spelling(name)}\s*[]\[<>=!~;@("']""", start - 1))


# ---------------------------------------------------------------------------------------------------------------------
# Tell


def tell(results: Sequence[Result], options: argparse.Namespace) -> int:
    """Prints the results, sets the component's outputs, and gives the exit code."""
    findings = [as_finding(each, options.build) for each in results if each.rule]
    state = max((each.state for each in results), key=STATES.index)
    code = exit_for(findings, options.fail_on)
    text = "\n".join(line for each in results for line in describe(each, options.build))
    if options.format == "json":
        locks = [as_lock_entry(each) for each in results]
        print(as_json(findings, code == Exit.OK, state=state, locks=locks))
    elif options.format == "sarif":
        print(as_sarif(findings, {name: rule.sentence for name, rule in RULES.items()}))
    else:
        print(text)
    if options.format != "text":
        say(text)
    if outputs_have_a_file():
        set_outputs({"state": state, "findings": len(findings)})
    if on_github() and os.environ.get("GITHUB_STEP_SUMMARY"):
        add_summary(as_table(results))
    return code


def as_finding(result: Result, build: bool) -> Finding:
    """The finding of a lock that isn't simply fresh."""
    rule = RULES[result.rule]
    message = f"{shown(result.target.lock)} is {rule.state}.\n{explain(result)}"
    return Finding(result.rule, rule.level, message, result.file, result.line, fix=mend(result, build))


def explain(result: Result) -> str:
    """Why, one thing a line."""
    if result.rule != "drifted":
        return shown(result.reason)
    changes = [shown(f"{each.file}:{each.line}: {each.text}") for each in result.project_changes]
    if result.unavailable:
        changes.append(shown(f"what locking would change is unavailable: {result.unavailable}"))
    elif result.lock_changes:
        changes.append(f"locking would {', '.join(str(each) for each in result.lock_changes)}")
    else:
        changes.append("locking would change no version, only what the lock remembers of the project")
    named = [name for name in LOCKING_VARIABLES if os.environ.get(name)]
    if named:
        changes.append(f"the environment sets {', '.join(named)}, with which locking may give another result")
    return "\n".join(changes)


def mend(result: Result, build: bool) -> str:
    """The command, or the step, that mends it."""
    target = result.target
    folder = split(target.lock)[0]
    lock = f"uv lock --script {shell_word(target.source)}" if target.is_script else "uv lock"
    if folder and not target.is_script:
        lock += f" --directory {shell_word(folder)}"
    mends = {
        "drifted": f"{lock}, and commit the result",
        "missing": f"{lock}, and commit the result",
        "merge-markers": f"git checkout --ours {shell_word(target.lock)} && {lock}, and commit the result",
        "unreadable": f"restore it from the last good commit, or remove it and run {lock}",
        "newer-schema": f"use the newer uv here, or remove the lock and run {lock}",
        "stray-lock": f"git rm {shell_word(target.lock)}",
        "project-unreadable": "correct the file at that line",
        "required-version": "install the version of uv that the project asks for, or change its `required-version`",
        "no-python": "install such a Python before this step: with the component `setup`, or `uv python install`",
        "unchecked": f"{lock} --check shows the same on your machine",
        "needs-build": "let the check build: `build: true`; or state the dependencies in [project]",
        "index-mismatch": "give the index of this machine as `mirror`, or unset it for this step",
    }
    if result.rule == "needs-build" and build:
        return f"{lock} --check shows the same on your machine"
    return mends[result.rule]


def describe(result: Result, build: bool) -> list[str]:
    """A lock's lines for people."""
    head = f"{result.state:<15} {shown(result.target.lock)}"
    if not result.rule:
        return [head]
    # The dash keeps a path from standing first, where a CI would take `::` for a command.
    return [head, *(f"  - {line}" for line in explain(result).splitlines()), f"  To mend it: {mend(result, build)}"]


def as_lock_entry(result: Result) -> dict[str, object]:
    """A lock in `--format json`."""
    return {
        "path": result.target.lock,
        "kind": "script" if result.target.is_script else "project",
        "source": result.target.source,
        "state": result.state,
        "rule": result.rule,
        "changes": {
            "project": [dataclasses.asdict(each) for each in result.project_changes],
            "lock": [dataclasses.asdict(each) for each in result.lock_changes],
            "unavailable": result.unavailable,
        },
    }


def as_table(results: Sequence[Result]) -> str:
    """The locks and their states for the job's page."""
    rows = [f"| `{re.sub(r'[|`]', '?', shown(each.target.lock))}` | {each.state} |" for each in results]
    return "\n".join(["### Locks", "", "| lock | state |", "| --- | --- |", *rows])


# ---------------------------------------------------------------------------------------------------------------------
# Small things: paths, TOML, words


class Unreadable(Exception):
    """A file that can't be read as what it should be: its path, why, and the line."""

    def __init__(self, path: str, why: str, line: int = 1) -> None:
        super().__init__(why)
        self.path = path
        self.why = why
        self.line = line


def shown(text: str) -> str:
    """Text of the checkout in one line that any stream takes: file names may hold anything.

    Also the old form of a command, `##[name]`, which GitHub's runner obeys anywhere in a line.
    Source: actions/runner, src/Runner.Common/ActionCommand.cs, TryParse
    """
    line = re.sub(r"[\x00-\x1f\x7f]", "?", text).replace("##[", "## [")
    return line.encode("utf-8", "backslashreplace").decode()


def relative(path: Path, root: Path) -> str:
    """A path below the root with `/`; empty for the root, with `..` for what lies outside."""
    text = Path(os.path.relpath(path, root)).as_posix()
    return "" if text == "." else text


def join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def split(path: str) -> tuple[str, str]:
    """Folder and name; the folder of a file at the root is empty."""
    folder, _, name = path.rpartition("/")
    return folder, name


def parents(path: str) -> list[str]:
    """The folders above a path, the nearest first, with the root's empty one last."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts) - 1, -1, -1)] if path else []


def as_regex(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression for whole paths with `/`: `*` stays in one folder, `**` doesn't."""
    meanings = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]]+\])", pattern.removeprefix("./").rstrip("/"))
    return re.compile("".join(meanings.get(each, each if each.startswith("[") else re.escape(each)) for each in parts))


def read_text(path: Path, shown: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Unreadable(shown, "it isn't UTF-8 text") from None
    except OSError as error:
        raise Unreadable(shown, error.strerror or str(error)) from None


def parse_toml(text: str, shown: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        line = re.search(r"line (\d+)", str(error))
        raise Unreadable(shown, str(error), int(line[1]) if line else 1) from None


# Source: https://packaging.python.org/en/latest/specifications/inline-script-metadata/
SCRIPT_BLOCK = re.compile(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$")


def has_script_block(path: Path) -> bool:
    try:
        return SCRIPT_BLOCK.search(path.read_text(encoding="utf-8")) is not None
    except (OSError, UnicodeDecodeError):
        return False


def script_block(path: Path, shown: str) -> dict[str, Any]:
    """The metadata of a script that has some."""
    text = read_text(path, shown)
    block = SCRIPT_BLOCK.search(text)
    if not block:
        raise Unreadable(shown, "it has no PEP 723 block")
    before = text.count("\n", 0, block.start()) + 1
    content = "".join(line[2:] if line.startswith("# ") else line[1:] for line in block["content"].splitlines(True))
    try:
        return parse_toml(content, shown)
    except Unreadable as error:
        raise Unreadable(shown, error.why, error.line + before) from None


def table(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A table of a document; an empty one where it is absent or something else, which is uv's to complain about."""
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def entries(document: Mapping[str, Any], name: str) -> list[Any]:
    """An array of a document; an empty one where it is absent or something else."""
    found = document.get(name)
    return found if isinstance(found, list) else []


def uv_table(document: Mapping[str, Any]) -> dict[str, Any]:
    """`[tool.uv]` of a pyproject.toml or a script's block."""
    return table(table(document, "tool"), "uv")


def is_dynamic(document: Mapping[str, Any], own: bool) -> bool:
    """Whether only a build tells what a package of the checkout depends on; a lock's `own` folder needs no package."""
    project = document.get("project")
    if not isinstance(project, dict):
        return not own
    return bool(
        {"dependencies", "optional-dependencies"}
        & {each for each in entries(project, "dynamic") if isinstance(each, str)}
    )


def declares_default_index(folder: Path, settings: Mapping[str, Any]) -> bool:
    """Whether the project itself says which index is the default, so that the machine's doesn't matter."""
    file = folder / "uv.toml"
    if file.is_file():
        settings = parse_toml(read_text(file, file.name), file.name)
    return "index-url" in settings or any(
        each.get("default") for each in entries(settings, "index") if isinstance(each, dict)
    )


def local_folder(folder: str, package: Mapping[str, Any]) -> str | None:
    """Where in the repository a package of a lock lies, if it is one of the checkout."""
    source = table(package, "source")
    place = next((source[kind] for kind in ("editable", "directory", "virtual") if kind in source), None)
    if place is None:
        return None
    path = os.path.normpath(join(folder, place)).replace(os.sep, "/")
    return "" if path == "." else path


def normal(name: str) -> str:
    """A package's name in the one spelling of PEP 503."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def spelling(name: str) -> str:
    """A pattern for every spelling of a normalised name."""
    return "[-_.]+".join(re.escape(part) for part in name.split("-"))


def clauses(specifier: str) -> set[str]:
    return {re.sub(r"\s", "", each) for each in specifier.split(",") if each.strip()}


def quoted(texts: Iterable[str]) -> str:
    return " and ".join(f"`{each}`" for each in sorted(texts))


def last_words(words: str) -> str:
    """uv's error with its causes and hints, in one line, without credentials."""
    lines = [re.sub(r"^\W+", "", line) for line in words.splitlines() if line.strip()]
    start = next((number for number, line in enumerate(lines) if line.startswith(("error:", "No solution"))), 0)
    text = " ".join(re.sub(r"^(error|cause|Caused by|hint): ", "", line) for line in lines[start:])
    return re.sub(r"://[^/@\s]+@", "://***@", text)[:600]


def shell_word(text: str) -> str:
    return text if re.fullmatch(r"[\w./-]+", text) else "'" + shown(text).replace("'", "'\\''") + "'"


def outside_path(root: Path) -> str:
    """PATH without relative entries and without those in the checkout: uv may start `git` or `keyring` from there."""
    entries = os.environ.get("PATH", "").split(os.pathsep)
    kept = [each for each in entries if os.path.isabs(each) and not Path(each).resolve().is_relative_to(root)]
    return os.pathsep.join(kept)


def outside_tool(name: str, root: Path) -> str | None:
    return shutil.which(name, path=outside_path(root))


def cache_folder() -> str:
    """uv's cache folder: the caller's or the default, never one that the checkout's settings name.

    Source: https://docs.astral.sh/uv/reference/storage/#cache-directory
    """
    given = os.environ.get("UV_CACHE_DIR")
    if given:
        return os.path.abspath(given)
    if sys.platform == "win32":
        return str(Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "uv" / "cache")
    return str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uv")


if __name__ == "__main__":
    run_main(main)
