#!/usr/bin/env -S uv run --no-config --locked --script
# /// script
# requires-python = ">=3.10"
# dependencies = ["tomli>=2; python_version < '3.11'"]
# ///
"""Builds a source distribution and, from it, a wheel; both are byte for byte the same each time a commit is built.

They are built by uv in an environment of their own, in a fresh folder, and then moved into DIST. There a file of the
same name is replaced; other distributions are never deleted, but end the build, since whoever publishes the folder
would publish them too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import difflib
import gzip
import hashlib
import html
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from argparse import BooleanOptionalAction
from collections.abc import Generator, Mapping, Sequence
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from _common import (
    Exit,
    Failure,
    Parser,
    add_summary,
    find_uv,
    github_command,
    human_size,
    job_temp,
    on_github,
    run_main,
    say,
    set_outputs,
    trace,
    warn,
    write_atomic,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# The endings of what `uv publish` and others upload from a folder.
DISTRIBUTIONS = (".whl", ".tar.gz", ".zip", ".egg")

# The caller's settings for other work than this: they send uv to another project, take the isolation away, or ask for
# hashes and versions that a project's build requirements never have.
NOT_FOR_BUILDS = (
    "UV_PROJECT",
    "UV_WORKING_DIR",
    "UV_WORKING_DIRECTORY",
    "UV_NO_BUILD_ISOLATION",
    "UV_REQUIRE_HASHES",
    "UV_RESOLUTION",
    "UV_NO_SOURCES",
)

# What uv's own error means: a pattern in it, the exit code, and the mend. The first that is found counts.
CAUSES = (
    (
        r"No space left on device|os error 28\b|Disk quota exceeded",
        Exit.USAGE,
        "free some disk space, then run it again",
    ),
    (
        r"python-build-standalone|No interpreter found",
        Exit.USAGE,
        "install a Python that the project allows, or run `setup` before, with `python-version`",
    ),
    (
        r"\b401\b|\b403\b|Unauthorized|Forbidden|[Mm]issing credentials",
        Exit.UNAUTHORISED,
        "give uv credentials for that index: in netrc, or as UV_INDEX_<NAME>_USERNAME and _PASSWORD",
    ),
    (
        r"error sending request|Failed to fetch|Failed to download|Network connectivity is disabled|timed out",
        Exit.NETWORK,
        "check that the index can be reached from here, or set `mirror` to one that can",
    ),
    (
        r"Failed to resolve requirements from",
        Exit.USAGE,
        "correct [build-system], set `mirror` to an index with them, or `sources: true` if [tool.uv.sources] has them",
    ),
)

# Where GitLab's jobs keep what is cached: it can cache nothing but folders of the checkout.
OWN_FOLDER = ".uv-actions"

# How uv's own lines begin.
UV_ERROR = r"^\s*(?:error:|\u00d7) "
UV_CAUSE = r"^\s*(?:cause:|├─▶|╰─▶) "

# A summary above 1 MiB is dropped as a whole by GitHub; the checks that follow add to it.
SUMMARY_CHARACTERS = 600_000
TREE_LINES = 500
METADATA_CHARACTERS = 20_000


@dataclasses.dataclass(frozen=True)
class Project:
    """A package to build. `settings` is its `pyproject.toml`; `name` is normalised, or the folder's without a name."""

    name: str
    folder: Path
    settings: Mapping[str, Any]

    @property
    def buildable(self) -> bool:
        """Whether uv counts it as a package that can be built, as `uv build --all-packages` does."""
        declared = table(self.settings, "tool", "uv").get("package")
        return bool(declared) if declared is not None else "build-system" in self.settings


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A file that was built. `size` is in bytes, `sha256` in hexadecimal digits."""

    path: Path
    size: int
    sha256: str
    project: Project


# ---------------------------------------------------------------------------------------------------------------------
# Which packages


def read_project(folder: Path) -> Project | None:
    """The project in a folder; none if nothing there can be built."""
    file = folder / "pyproject.toml"
    if not file.is_file():
        return Project(normal(folder.name), folder, {}) if (folder / "setup.py").is_file() else None
    try:
        settings = tomllib.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Failure(f"{file} can't be read: {error}", "correct it; `uv lock` shows the line") from None
    return Project(normal(str(table(settings, "project").get("name", folder.name))), folder, settings)


def table(settings: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """A table inside of tables; empty if one of them is absent."""
    found: Any = settings
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def find_workspace(folder: Path) -> tuple[Path, list[Project]]:
    """The root of the uv workspace around a folder, and its packages; without a workspace the folder's own project.

    Source: https://docs.astral.sh/uv/concepts/projects/workspaces/
    """
    for root in (folder, *folder.parents):
        project = read_project(root)
        if project and "workspace" in table(project.settings, "tool", "uv"):
            workspace = table(project.settings, "tool", "uv", "workspace")
            folders = matching(root, workspace.get("members")) - matching(root, workspace.get("exclude"))
            if folder != root and folder not in folders:
                break
            members = filter(None, (read_project(path) for path in sorted(folders - {root})))
            return root, [*([project] if "project" in project.settings else []), *members]
    project = read_project(folder)
    return folder, [project] if project else []


def matching(root: Path, patterns: object) -> set[Path]:
    """The paths that a workspace's list of patterns means."""
    try:
        return {path for pattern in patterns for path in root.glob(pattern)} if isinstance(patterns, list) else set()
    except (ValueError, TypeError, NotImplementedError) as error:
        raise Failure(
            f"[tool.uv.workspace] of {root / 'pyproject.toml'} can't be read: {error}",
            "give folders relative to that file, as patterns like `packages/*`",
        ) from None


def choose(folder: Path, members: Sequence[Project], package: str, all_packages: bool) -> list[Project]:
    """The packages that the caller asked for."""
    if package and all_packages:
        raise Failure(
            "`package` names one package and `all-packages` asks for all", "give `package` or `all-packages`, not both"
        )
    if not members:
        raise Failure(
            f"there is no pyproject.toml in {folder}", "set `working-directory` to the folder of the project to build"
        )
    names = ", ".join(member.name for member in members if member.buildable)
    if all_packages:
        if not names:
            raise Failure(f"no package in the workspace of {folder} has a [build-system]", how_to_build(members[0]))
        return [member for member in members if member.buildable]
    if package:
        for member in members:
            if member.name == normal(package):
                return [with_build_system(member)]
        near = difflib.get_close_matches(normal(package), [member.name for member in members], 1, 0)
        raise Failure(
            f"`package` is {package!r}, which is not in the workspace of {folder}; the nearest is `{near[0]}`",
            f"set `package` to one of: {names or near[0]}",
        )
    for member in members:
        if member.folder == folder:
            return [with_build_system(member)]
    raise Failure(
        f"{folder / 'pyproject.toml'} is a workspace without a package of its own",
        f"set `all-packages: true`, or `package` to one of: {names}",
    )


def with_build_system(project: Project) -> Project:
    """The project, if something says how it is built."""
    if not project.buildable and not (project.folder / "setup.py").is_file():
        what = f"`{project.name}` can't be built: its pyproject.toml has no [build-system]"
        raise Failure(what, how_to_build(project))
    return project


def how_to_build(project: Project) -> str:
    """What makes a project a package."""
    backend = '[build-system] with requires = ["uv_build>=0.8,<1"] and build-backend = "uv_build"'
    return f"add to {project.folder / 'pyproject.toml'}: {backend}; an application that isn't published needs no build"


def normal(name: str) -> str:
    """A package's name as indexes compare it: https://packaging.python.org/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()


# ---------------------------------------------------------------------------------------------------------------------
# In which surroundings


def build_environment(folder: Path, mirror: str) -> dict[str, str]:
    """The caller's environment as a build needs it."""
    dropped = [name for name in NOT_FOR_BUILDS if os.environ.get(name)]
    environment = {name: value for name, value in os.environ.items() if name not in NOT_FOR_BUILDS}
    if dropped:
        say(f"not used for the build: {', '.join(dropped)}")
    if mirror:
        # Not as an argument: it may hold credentials.
        environment["UV_DEFAULT_INDEX"] = mirror
    if os.environ.get("UV_CACHE_DIR"):
        # uv starts in the project's folder, the caller meant the folder of the job.
        environment["UV_CACHE_DIR"] = os.path.abspath(os.environ["UV_CACHE_DIR"])
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or commit_time(folder)
    if epoch and not epoch.isdecimal():
        raise Failure(
            f"SOURCE_DATE_EPOCH is {epoch!r}, but must be a time in seconds since 1970",
            "unset it to use the time of the commit",
        )
    environment.pop("SOURCE_DATE_EPOCH", None)
    if epoch:
        environment["SOURCE_DATE_EPOCH"] = epoch
    return environment


def commit_time(folder: Path) -> str:
    """When the commit was made that is checked out, in seconds since 1970; empty, with a warning, if nothing says it.

    GitLab tells it as a variable too, and its jobs often run in images without git.
    """
    said = git(folder, "log", "-1", "--no-show-signature", "--format=%ct", "HEAD")
    said = said or seconds_of(os.environ.get("CI_COMMIT_TIMESTAMP", ""))
    if not said:
        warn(
            f"git knows no commit for {folder}, so the files will hold the time of this build and differ each time; "
            "set SOURCE_DATE_EPOCH to a time in seconds since 1970"
        )
    return said


def seconds_of(timestamp: str) -> str:
    """A time of ISO 8601 with its zone in seconds since 1970; empty for anything else."""
    try:
        # Python before 3.11 doesn't know the Z.
        moment = dt.datetime.fromisoformat(re.sub("[Zz]$", "+00:00", timestamp))
    except ValueError:
        return ""
    return str(int(moment.timestamp())) if moment.tzinfo else ""


def git(folder: Path, *arguments: str) -> str:
    """What git says about a folder, stripped; empty if there is no git, no repository or no commit."""
    # In a container job the checkout belongs to another user, and git refuses it; the build runs its code anyway.
    command = ["git", "-c", "safe.directory=*", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def folder_to_build(project: Project, root: Path, environment: Mapping[str, str], temporary: Path) -> Path:
    """The project's folder; if uv's cache or what jobs of ours keep lies inside of it, a copy without that.

    Build backends that take every file would put it into the source distribution: hatchling does, and uv refuses what
    comes of it; setuptools does if its MANIFEST.in says so. https://github.com/astral-sh/uv/issues/20050
    """
    command = [find_uv(), "cache", "dir"]
    said = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True, check=False)
    # With `.git`, from which some backends take the version.
    top = Path(git(root, "rev-parse", "--show-toplevel") or root).resolve()
    # The cache counts before it exists: this build would make it.
    places = [Path(said.stdout.strip() or os.devnull), job_temp()]
    places += [place for place in (project.folder / OWN_FOLDER,) if place.exists()]
    inside = [place.resolve() for place in places if project.folder in place.resolve().parents]
    if not inside:
        return project.folder
    copy = temporary / "source"

    def unwanted(folder: str, names: list[str]) -> list[str]:
        paths = [Path(folder, name) for name in names]
        return [
            path.name
            for path in paths
            if path in (*inside, temporary) or path.name == OWN_FOLDER or (path / "pyvenv.cfg").is_file()
        ]

    if not copy.exists():
        say(f"building from a copy of {top}, since {inside[0]} lies inside of it")
        shutil.copytree(top, copy, symlinks=True, ignore=unwanted)
    return copy / project.folder.relative_to(top)


# ---------------------------------------------------------------------------------------------------------------------
# Building


def build(
    project: Project, folder: Path, sources: bool, environment: Mapping[str, str], out: Path
) -> list[Distribution]:
    """Builds one package into an empty folder: the source distribution, then the wheel from it."""
    command = [find_uv(), "build", "--color", "never", "--out-dir", str(out), *([] if sources else ["--no-sources"])]
    lines = []
    trace(command)
    with (
        group(f"Build {project.name}"),
        subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        for line in process.stdout or []:
            lines.append(line.rstrip("\n"))
            say(lines[-1])
    files = sorted(path for path in out.iterdir() if path.name.endswith(DISTRIBUTIONS)) if out.is_dir() else []
    if process.returncode != 0:
        phase = "wheel" if any(not path.name.endswith(".whl") for path in files) else "source distribution"
        raise explain(project, phase, lines)
    epoch = environment.get("SOURCE_DATE_EPOCH")
    for path in files:
        check_archive(path, project)
        if epoch and path.name.endswith(".tar.gz"):
            fix_times(path, int(epoch))
    return [Distribution(path, path.stat().st_size, sha256(path), project) for path in files]


def check_archive(path: Path, project: Project) -> None:
    """Refuses what a build backend says it has built, but nobody could install: uv looks at its name alone."""
    try:
        content(path)
        if path.suffix == ".whl":
            metadata_of(path)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        raise Failure(
            f"the build backend of `{project.name}` made {path.name}, which is no valid distribution: {error}",
            "mend the build backend, or take another one in [build-system]",
            Exit.FINDINGS,
            title="build",
        ) from None


def fix_times(sdist: Path, epoch: int) -> None:
    """Gives a source distribution that tells when and by whom it was built the commit's time and no owner.

    Some build backends, setuptools among them, pack their files with the times, owners and rights of the checkout, and
    the time of the build on top. What is not younger than the commit was made to be the same each time, and stays.
    """
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
        built_at = int.from_bytes(sdist.read_bytes()[4:8], "little")  # the header of gzip: RFC 1952, section 2.3
        if max([built_at, *(member.mtime for member in members)]) <= epoch:
            return
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as again:
            for member in members:
                member.mtime = epoch
                member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
                member.uid = member.gid = 0
                member.uname = member.gname = ""
                # What they hold, times with fractions of a second among it, would win.
                member.pax_headers = {}
                again.addfile(member, archive.extractfile(member) if member.isreg() else None)
    write_atomic(sdist, gzip.compress(packed.getvalue(), mtime=epoch))


@contextlib.contextmanager
def group(title: str) -> Generator[None]:
    """Folds what is said meanwhile, where the platform can."""
    say(github_command("group", title) if on_github() else f"{title} …")
    try:
        yield
    finally:
        if on_github():
            say(github_command("endgroup", ""))


def explain(project: Project, phase: str, lines: Sequence[str]) -> Failure:
    """What uv's output says about a failed build: which phase, why, and what mends it.

    `lines` are the build backend's output and then uv's error: `error: …` and `cause: …` lines, before uv 0.9 a tree.
    """
    start = next((number for number, line in enumerate(lines) if re.match(UV_ERROR, line)), len(lines))
    error = "\n".join(lines[start:])
    backend = [line.strip() for line in lines[:start] if line.strip()]
    reasons = re.findall(rf"(?:{UV_ERROR}|{UV_CAUSE})(.+)", error, re.MULTILINE) or ["uv gave no reason"]
    what = f"the {phase} of `{project.name}` couldn't be built: {reasons[-1]}"
    own = "The build backend returned an error" in error
    if own and backend:
        what += f": {backend[-1]}"
    for pattern, code, mend in CAUSES[:1] if own else CAUSES:
        if re.search(pattern, "\n".join([*backend, error]) if own else error):
            return Failure(what, mend, code, title="build")
    if own and phase == "wheel":
        mend = "see the output above; a wheel is built from the sdist, which may lack a file that the build needs"
    else:
        mend = f"see the output above; `uv build` in {project.folder} does the same"
    return Failure(what, mend, Exit.FINDINGS, title="build")


def sha256(path: Path) -> str:
    """The file's hash in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def place(built: Sequence[Distribution], dist: Path) -> list[Distribution]:
    """Puts the files into the folder for distributions, and gives them with their new paths."""
    if not dist.exists():
        dist.mkdir(parents=True)
        # As uv does: a build leaves nothing that git would call a change.
        (dist / ".gitignore").write_text("*\n", encoding="utf-8")
    names = {each.path.name for each in built}
    foreign = sorted(
        path.name for path in dist.iterdir() if path.name.endswith(DISTRIBUTIONS) and path.name not in names
    )
    if foreign:
        raise Failure(
            f"{dist} holds what this build didn't make and would be published with it: {', '.join(foreign)}",
            "delete it before the build, build all packages of the workspace at once by `all-packages: true`, "
            "or set UV_ACTIONS_BUILD_DIST_OUT_DIR to another folder",
        )
    for each in built:
        write_atomic(dist / each.path.name, each.path.read_bytes())
    return [dataclasses.replace(each, path=dist / each.path.name) for each in built]


# ---------------------------------------------------------------------------------------------------------------------
# Telling


def metadata_of(wheel: Path) -> str:
    """The text of a wheel's METADATA."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
        if not names:
            raise zipfile.BadZipFile("it has no METADATA")
        return archive.read(names[0]).decode(errors="replace")


def version_of(built: Sequence[Distribution]) -> str:
    """The version that all packages have in common; if they differ, `name==version` a line."""
    headers = [HeaderParser().parsestr(metadata_of(each.path)) for each in built if each.path.suffix == ".whl"]
    versions = {header["Version"] for header in headers}
    return versions.pop() if len(versions) == 1 else "\n".join(f"{each['Name']}=={each['Version']}" for each in headers)


def content(path: Path) -> list[tuple[str, int]]:
    """The files in a distribution, each with its size in bytes, sorted."""
    if path.name.endswith(".tar.gz"):
        with tarfile.open(path) as archive:
            return sorted((member.name, member.size) for member in archive if not member.isdir())
    with zipfile.ZipFile(path) as archive:
        return sorted((member.filename, member.file_size) for member in archive.infolist() if not member.is_dir())


def tree(files: Sequence[tuple[str, int]]) -> list[str]:
    """The files as an indented tree, a line for each folder and file."""
    lines = []
    above: list[str] = []
    for path, size in files:
        *folders, name = path.split("/")
        lines += [
            f"{'  ' * depth}{folder}/"
            for depth, folder in enumerate(folders)
            if above[: depth + 1] != folders[: depth + 1]
        ]
        lines.append(f"{'  ' * len(folders)}{name}  {human_size(size)}")
        above = folders
    return lines


def summary(built: Sequence[Distribution], version: str) -> str:
    """What was built, as Markdown: a table, the file trees, and the metadata."""
    heading = version if "\n" not in version else f"{version.count(chr(10)) + 1} packages"
    lines = [f"### Build: {', '.join({each.project.name: None for each in built})} {heading}", ""]
    lines += ["| file | size | sha256 |", "| --- | ---: | --- |"]
    lines += [f"| {each.path.name} | {human_size(each.size)} | `{each.sha256}` |" for each in built]
    text = "\n".join(lines) + "\n"
    for each in built:
        rows = tree(content(each.path))
        shown = rows[:TREE_LINES] + [f"… and {len(rows) - TREE_LINES} more"] * (len(rows) > TREE_LINES)
        piece = details(each.path.name, "\n".join(shown))
        if each.path.suffix == ".whl":
            piece += details(f"METADATA of {each.path.name}", metadata_of(each.path)[:METADATA_CHARACTERS])
        if len(text) + len(piece) > SUMMARY_CHARACTERS:
            return f"{text}\nThe file trees of further distributions would be too long for a summary.\n"
        text += piece
    return text


def details(title: str, text: str) -> str:
    """A folded piece of plain text."""
    # A blank line before `<pre>`: without, a blank line inside of it would end the HTML, and Markdown would begin.
    return f"\n<details><summary>{html.escape(title)}</summary>\n\n<pre>{html.escape(text)}</pre>\n\n</details>\n"


# ---------------------------------------------------------------------------------------------------------------------


def main() -> int:
    parser = Parser(prog="build_dist", description=__doc__)
    parser.add_folder()
    parser.add_argument("--package", default="", help="the package of the workspace (default: the folder's own)")
    parser.add_argument(
        "--all-packages", action=BooleanOptionalAction, default=False, help="all packages of the workspace"
    )
    parser.add_argument(
        "--sources",
        action=BooleanOptionalAction,
        default=False,
        help="take build requirements from where [tool.uv.sources] says, not as a user of the index does",
    )
    parser.add_mirror("the default index for build requirements")
    parser.add_argument("--out-dir", default="", metavar="DIST", help="default: `dist` in the root of the workspace")
    options = parser.parse_args()

    folder = options.working_directory.resolve()
    root, members = find_workspace(folder)
    projects = choose(folder, members, options.package, options.all_packages)
    environment = build_environment(folder, options.mirror)
    dist = Path(options.out_dir).resolve() if options.out_dir else root / "dist"

    with tempfile.TemporaryDirectory(prefix="uv-actions-build-", ignore_cleanup_errors=True) as name:
        temporary = Path(name).resolve()
        built = []
        for number, project in enumerate(projects):
            source = folder_to_build(project, root, environment, temporary)
            built += build(project, source, options.sources, environment, temporary / f"out{number}")
        built = place(built, dist)

    version = version_of(built)
    set_outputs(
        {
            "dist": dist,
            "version": version,
            "files": "\n".join(each.path.name for each in built),
            "sha256": "\n".join(f"{each.sha256}  {each.path.name}" for each in built),
            # For the checks that follow: a line for each line of `files`.
            "projects": "\n".join(str(each.project.folder) for each in built),
        }
    )
    add_summary(summary(built, version))
    return Exit.OK


if __name__ == "__main__":
    run_main(main)
