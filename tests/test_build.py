"""build_dist and check_dist as processes, with real uv and real build backends."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from services.index import Index

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"

# The time that `commit_all` gives to every commit.
COMMIT_TIME = 1767323045

# uv itself is the first of them, and by far the fastest.
BACKENDS = {
    "uv_build": 'requires = ["uv_build>=0.8,<1"]\nbuild-backend = "uv_build"',
    "hatchling": 'requires = ["hatchling"]\nbuild-backend = "hatchling.build"',
    "setuptools": 'requires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"',
}

# A build backend of the project's own, with a statement that each phase begins with.
OWN_BACKEND = """\
import os, sys, tarfile

def build_sdist(directory, config_settings=None):
    {sdist}
    name = "app-1.0"
    with tarfile.open(os.path.join(directory, name + ".tar.gz"), "w:gz") as archive:
        for file in ("pyproject.toml", "backend.py", "PKG-INFO"):
            archive.add(file, name + "/" + file)
    return name + ".tar.gz"

def build_wheel(directory, config_settings=None, metadata_directory=None):
    {wheel}
"""


@dataclasses.dataclass(frozen=True)
class Result:
    """How a tool ended: `outputs` and `summary` are what it gave to GitHub."""

    rc: int
    stdout: str
    stderr: str
    outputs: dict[str, str]
    summary: str

    def output_lines(self, name: str) -> list[str]:
        return self.outputs[name].splitlines()


@pytest.fixture
def run_tool(tmp_path: Path) -> Callable[..., Result]:
    """Runs a tool as a step of a GitHub job does; `env` adds to the environment, which has no UV_* of the machine."""

    def run(tool: str, *arguments: str, cwd: Path, env: dict[str, str] | None = None) -> Result:
        output, summary = tmp_path / "output", tmp_path / "summary"
        for file in (output, summary):
            file.write_text("")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
        clean.pop("SOURCE_DATE_EPOCH", None)
        github = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
        # check_dist has packages of its own, which its first line brings.
        command = [sys.executable, SCRIPTS / f"{tool}.py"] if tool != "check_dist" else [SCRIPTS / f"{tool}.py"]
        done = subprocess.run(
            [*map(str, command), *arguments], cwd=cwd, env={**clean, **github, **(env or {})}, capture_output=True,
            encoding="utf-8", check=False,
        )  # fmt: skip
        pairs = re.findall(r"^(\S+?)<<(\S+)\n(.*?)\n\2$", output.read_text(), re.MULTILINE | re.DOTALL)
        outputs = {name: value for name, _, value in pairs}
        return Result(done.returncode, done.stdout, done.stderr, outputs, summary.read_text())

    return run


@pytest.fixture
def build(run_tool: Callable[..., Result]) -> Callable[..., Result]:
    """Runs `build_dist` in a project's folder."""

    def run(project: Path, *arguments: str, env: dict[str, str] | None = None) -> Result:
        return run_tool("build_dist", *arguments, cwd=project, env=env)

    return run


@pytest.fixture
def check(run_tool: Callable[..., Result]) -> Callable[..., Result]:
    """Runs `check_dist` in a project's folder."""

    def run(project: Path, *arguments: str) -> Result:
        return run_tool("check_dist", *arguments, cwd=project)

    return run


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Writes texts to paths in a folder, and gives the folder."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def make_package(
    folder: Path, name: str = "app", backend: str = "uv_build", version: str = "1.0", more: str = ""
) -> Path:
    """A package with a README, in `src` layout; `more` is added to its pyproject.toml."""
    settings = f'[project]\nname = "{name}"\nversion = "{version}"\nreadme = "README.md"\nrequires-python = ">=3.10"\n'
    files = {
        "pyproject.toml": settings + (f"[build-system]\n{BACKENDS[backend]}\n" if backend else "") + more,
        "README.md": f"# {name}\n\nSays hello.\n",
        f"src/{name.replace('-', '_')}/__init__.py": f'"""Says hello for {name}."""\n',
    }
    return write(folder, files)


@pytest.fixture
def app(tmp_path: Path, commit_all: Callable[[Path], None]) -> Path:
    """A committed package in a folder with a blank in its path."""
    folder = make_package(tmp_path / "my projects" / "app")
    commit_all(folder)
    return folder


@pytest.fixture
def hatch_app(tmp_path: Path, commit_all: Callable[[Path], None]) -> Path:
    """The same with hatchling, which packs every file that it isn't told to leave out."""
    folder = make_package(tmp_path / "my projects" / "app", backend="hatchling")
    commit_all(folder)
    return folder


@pytest.fixture
def workspace(tmp_path: Path, commit_all: Callable[[Path], None]) -> Path:
    """A committed workspace: a package at the root, two members that can be built, and an application that can't."""
    root = make_package(
        tmp_path / "workspace",
        "root-pkg",
        more='[tool.uv.workspace]\nmembers = ["packages/*"]\nexclude = ["packages/old"]\n',
    )
    make_package(root / "packages" / "core", "acme-core", version="2.0")
    make_package(root / "packages" / "cli", "acme-cli", version="2.0")
    make_package(root / "packages" / "service", "acme-service", backend="")
    make_package(root / "packages" / "old", "acme-old")
    commit_all(root)
    return root


def names_in(file: Path) -> set[str]:
    """The files of a distribution, without the first folder of a source distribution."""
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as archive:
            return set(archive.namelist())
    with tarfile.open(file) as archive:
        return {member.name.partition("/")[2] for member in archive if member.isfile()}


def in_folder(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---------------------------------------------------------------------------------------------------------------------
# What is built


def test_gives_folder_version_files_and_hashes(build: Callable[..., Result], app: Path) -> None:
    result = build(app)

    assert result.rc == 0, result.stderr
    dist = app / "dist"
    files = ["app-1.0-py3-none-any.whl", "app-1.0.tar.gz"]
    assert in_folder(dist) == [".gitignore", *files]
    assert result.outputs["dist"] == str(dist)
    assert result.outputs["version"] == "1.0"
    assert result.output_lines("files") == files
    hashes = [f"{hashlib.sha256((dist / name).read_bytes()).hexdigest()}  {name}" for name in files]
    assert result.output_lines("sha256") == hashes
    assert subprocess.run(["git", "status", "--porcelain"], cwd=app, capture_output=True, check=True).stdout == b""
    assert not (app / ".venv").exists()


def test_the_summary_shows_trees_sizes_hashes_and_metadata(build: Callable[..., Result], app: Path) -> None:
    write(app, {"README.md": "# app\n\n</pre><b>bold</b>\n\n```\n", "src/app/deep/er/x.py": "x = 1\n"})

    result = build(app)

    assert "### Build: app 1.0" in result.summary
    for line in result.output_lines("sha256"):
        digest, name = line.split()
        assert re.search(rf"\| {re.escape(name)} \| [\d.]+ (?:bytes|KiB) \| `{digest}` \|", result.summary)
    assert "app/\n  __init__.py  26 bytes\n  deep/\n    er/\n      x.py  6 bytes<" in result.summary
    assert "Name: app\nVersion: 1.0\n" in result.summary
    assert "</pre><b>" not in result.summary
    assert result.summary.count("<details>") == result.summary.count("</details>") == 3


def test_the_wheel_is_made_from_the_sdist(build: Callable[..., Result], hatch_app: Path) -> None:
    write(hatch_app, {"src/app/left_out.py": ""})
    with (hatch_app / "pyproject.toml").open("a") as file:
        file.write('[tool.hatch.build.targets.sdist]\nexclude = ["src/app/left_out.py"]\n')

    assert build(hatch_app).rc == 0

    assert "app/__init__.py" in names_in(hatch_app / "dist" / "app-1.0-py3-none-any.whl")
    assert "app/left_out.py" not in names_in(hatch_app / "dist" / "app-1.0-py3-none-any.whl")


# setuptools packs the times of the files and of the build.
@pytest.mark.parametrize("backend", ["uv_build", "hatchling", "setuptools"])
def test_the_same_commit_gives_the_same_bytes(
    build: Callable[..., Result], tmp_path: Path, commit_all: Callable[[Path], None], backend: str
) -> None:
    first = make_package(tmp_path / "first", backend=backend)
    commit_all(first)
    second = tmp_path / "second" / "deeper"
    subprocess.run(["git", "clone", "-q", first, second], check=True)
    for path in (first / "src" / "app").iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))

    hashes = [build(folder).outputs["sha256"] for folder in (first, second, second)]

    assert hashes[0] == hashes[1] == hashes[2] != ""


def test_files_hold_the_time_of_the_commit(build: Callable[..., Result], hatch_app: Path) -> None:
    build(hatch_app)

    with tarfile.open(hatch_app / "dist" / "app-1.0.tar.gz") as archive:
        assert {member.mtime for member in archive} == {COMMIT_TIME}


def test_only_times_and_owners_of_an_sdist_are_changed(
    build: Callable[..., Result], tmp_path: Path, commit_all: Callable[[Path], None]
) -> None:
    app = make_package(tmp_path / "app", backend="setuptools")
    long_name = f"src/app/{'long' * 30}_ünïcode.py"
    write(app, {long_name: "x = 1\n", "src/app/tool.sh": "#!/bin/sh\n", "MANIFEST.in": "graft src\n"})
    (app / "src" / "app" / "tool.sh").chmod(0o775)
    (app / "README.md").chmod(0o600)
    commit_all(app)

    assert build(app).rc == 0

    with tarfile.open(app / "dist" / "app-1.0.tar.gz") as archive:
        members = {member.name.partition("/")[2]: member for member in archive}
        assert {member.mtime for member in members.values()} == {COMMIT_TIME}
        assert {(member.uid, member.gid, member.uname, member.gname) for member in members.values()} == {(0, 0, "", "")}
        packed = archive.extractfile(members[long_name])
        assert packed is not None
        assert packed.read() == b"x = 1\n"
        assert members["src/app/tool.sh"].mode == 0o755
        assert members["README.md"].mode == 0o644


def test_a_time_of_the_caller_wins(build: Callable[..., Result], hatch_app: Path) -> None:
    build(hatch_app, env={"SOURCE_DATE_EPOCH": "1700000000"})

    with tarfile.open(hatch_app / "dist" / "app-1.0.tar.gz") as archive:
        assert {member.mtime for member in archive} == {1700000000}


def test_a_time_that_is_none_is_refused(build: Callable[..., Result], app: Path) -> None:
    result = build(app, env={"SOURCE_DATE_EPOCH": "yesterday"})

    assert result.rc == 2
    assert "SOURCE_DATE_EPOCH is 'yesterday'" in result.stderr


def test_without_git_it_warns_and_builds(build: Callable[..., Result], tmp_path: Path) -> None:
    folder = make_package(tmp_path / "export")

    result = build(folder)

    assert result.rc == 0
    assert "::warning" in result.stderr
    assert "SOURCE_DATE_EPOCH" in result.stderr
    assert "app-1.0.tar.gz" in in_folder(folder / "dist")


@pytest.mark.parametrize("moment", ["2026-01-02T03:04:05Z", "2026-01-02T05:04:05+02:00"])
def test_without_git_gitlab_tells_the_time_of_the_commit(
    build: Callable[..., Result], hatch_app: Path, moment: str
) -> None:
    # As in an image without git: the repository is there, the program isn't.
    uv = str(shutil.which("uv"))
    job = {"UV_ACTIONS_BIN": str(Path(uv).parent), "UV_PYTHON": sys.executable, "PATH": "/nowhere"}

    result = build(hatch_app, env={**job, "CI_COMMIT_TIMESTAMP": moment})

    assert result.rc == 0, result.stderr
    assert "::warning" not in result.stderr
    with tarfile.open(hatch_app / "dist" / "app-1.0.tar.gz") as archive:
        assert {member.mtime for member in archive} == {COMMIT_TIME}


@pytest.mark.parametrize("moment", ["2026-01-02T03:04:05", "yesterday", "$(date)"])
def test_a_time_of_no_certain_moment_is_none(build: Callable[..., Result], tmp_path: Path, moment: str) -> None:
    result = build(make_package(tmp_path / "export"), env={"CI_COMMIT_TIMESTAMP": moment})

    assert result.rc == 0
    assert "::warning" in result.stderr


def test_git_knows_better_than_the_job_and_a_shallow_clone_is_enough(
    build: Callable[..., Result], hatch_app: Path, tmp_path: Path, commit_all: Callable[[Path], None]
) -> None:
    commit_all(hatch_app)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth=1", hatch_app.as_uri(), clone], check=True)

    result = build(clone, env={"CI_COMMIT_TIMESTAMP": "2020-01-01T00:00:00Z"})

    assert result.rc == 0, result.stderr
    with tarfile.open(clone / "dist" / "app-1.0.tar.gz") as archive:
        assert {member.mtime for member in archive} == {COMMIT_TIME}


def test_a_shell_can_take_the_outputs(build: Callable[..., Result], app: Path, tmp_path: Path) -> None:
    output = tmp_path / "outputs.sh"

    result = build(app, env={"UV_ACTIONS_PLATFORM": "gitlab", "UV_ACTIONS_OUTPUT": str(output)})

    assert result.rc == 0, result.stderr
    command = f". '{output}'; cd \"$uv_out_dist\"; printf '%s\\n' \"$uv_out_sha256\" | sha256sum -c -"
    checked = subprocess.run(["sh", "-euc", command], capture_output=True, text=True, check=True)
    assert checked.stdout == "app-1.0-py3-none-any.whl: OK\napp-1.0.tar.gz: OK\n"


def test_a_project_with_only_a_setup_py(build: Callable[..., Result], tmp_path: Path) -> None:
    setup = "from setuptools import setup\nsetup(name='old', version='3.1', py_modules=['old'])"

    result = build(write(tmp_path / "old", {"setup.py": setup, "old.py": ""}))

    assert result.rc == 0, result.stderr
    assert result.outputs["version"] == "3.1"


def test_the_oldest_supported_uv_builds_too(build: Callable[..., Result], hatch_app: Path, tmp_path: Path) -> None:
    options = ["--version", "0.8.18", "--tool-dir", str(tmp_path / "tools")]
    found = subprocess.run(["sh", SCRIPTS / "install_uv.sh", *options], capture_output=True, text=True, check=True)

    result = build(hatch_app, env={"UV_ACTIONS_BIN": found.stdout.strip()})

    assert result.rc == 0, result.stderr
    assert result.outputs["version"] == "1.0"


# ---------------------------------------------------------------------------------------------------------------------
# Which packages


def test_a_member_is_built_into_the_folder_of_the_workspace(build: Callable[..., Result], workspace: Path) -> None:
    result = build(workspace / "packages" / "cli")

    assert result.rc == 0, result.stderr
    assert result.outputs["dist"] == str(workspace / "dist")
    assert result.output_lines("files") == ["acme_cli-2.0-py3-none-any.whl", "acme_cli-2.0.tar.gz"]


def test_a_package_by_its_name_in_any_spelling(build: Callable[..., Result], workspace: Path) -> None:
    result = build(workspace, "--package", "Acme_Core")

    assert result.output_lines("files") == ["acme_core-2.0-py3-none-any.whl", "acme_core-2.0.tar.gz"]
    assert result.outputs["version"] == "2.0"


def test_all_packages_are_those_with_a_build_system(build: Callable[..., Result], workspace: Path) -> None:
    result = build(workspace / "packages" / "cli", "--all-packages")

    assert result.rc == 0, result.stderr
    assert {name.partition("-")[0] for name in result.output_lines("files")} == {"root_pkg", "acme_cli", "acme_core"}
    assert sorted(result.output_lines("version")) == ["acme-cli==2.0", "acme-core==2.0", "root-pkg==1.0"]
    assert len(result.output_lines("projects")) == len(result.output_lines("files"))


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--package", "acme-clo"], "the nearest is `acme-cli`"),
        (["--package", "acme-service"], "no [build-system]"),
        (["--package", "acme-old"], "not in the workspace"),
        (["--package", "acme-cli", "--all-packages"], "not both"),
        (["--working-directory", "nowhere"], "--working-directory: 'nowhere' is not a folder"),
        (["--working-directory", "packages"], "no pyproject.toml"),
    ],
)
def test_a_wrong_choice(build: Callable[..., Result], workspace: Path, arguments: list[str], what: str) -> None:
    result = build(workspace, *arguments)

    assert result.rc == 2
    assert "::error title=build_dist::" in result.stderr
    assert what in result.stderr
    assert not (workspace / "dist").exists()


def test_a_flag_is_true_or_false(build: Callable[..., Result], app: Path) -> None:
    result = build(app, env={"UV_ACTIONS_BUILD_DIST_SOURCES": "yes"})

    assert result.rc == 2
    assert "`sources` is 'yes'" in result.stderr


def test_a_root_without_a_package_names_the_members(build: Callable[..., Result], workspace: Path) -> None:
    write(workspace, {"pyproject.toml": '[tool.uv.workspace]\nmembers = ["packages/c*"]\n'})

    result = build(workspace)

    assert result.rc == 2
    assert "acme-cli, acme-core" in result.stderr


def test_settings_that_are_no_toml(build: Callable[..., Result], app: Path) -> None:
    write(app, {"pyproject.toml": "[project\n"})

    result = build(app)

    assert result.rc == 2
    assert "pyproject.toml can't be read" in result.stderr
    assert "Traceback" not in result.stderr


# ---------------------------------------------------------------------------------------------------------------------
# The folder of the distributions


def test_a_second_build_replaces_its_own_files_and_leaves_others(build: Callable[..., Result], app: Path) -> None:
    build(app)
    write(app / "dist", {"notes.txt": "mine"})
    (app / "dist" / "app-1.0.tar.gz").write_text("old")

    result = build(app)

    assert result.rc == 0
    assert (app / "dist" / "notes.txt").read_text() == "mine"
    assert "pyproject.toml" in names_in(app / "dist" / "app-1.0.tar.gz")


def test_another_distribution_in_the_folder_is_neither_deleted_nor_published(
    build: Callable[..., Result], app: Path
) -> None:
    write(app / "dist", {"app-0.9.tar.gz": "released long ago"})

    result = build(app)

    assert result.rc == 2
    assert "app-0.9.tar.gz" in result.stderr
    assert in_folder(app / "dist") == ["app-0.9.tar.gz"]
    assert result.outputs == {}


def test_a_failed_build_leaves_the_former_files(build: Callable[..., Result], app: Path) -> None:
    build(app)
    before = (app / "dist" / "app-1.0.tar.gz").read_bytes()
    settings = '[project]\nname = "app"\nversion = "1.0"\n[build-system]\nrequires = []\nbuild-backend = "nowhere"\n'
    write(app, {"pyproject.toml": settings})

    assert build(app).rc == 1

    assert (app / "dist" / "app-1.0.tar.gz").read_bytes() == before


# ---------------------------------------------------------------------------------------------------------------------
# Surroundings


def test_a_cache_inside_of_the_tree_is_not_packed(build: Callable[..., Result], hatch_app: Path) -> None:
    result = build(hatch_app, env={"UV_CACHE_DIR": ".uv-cache"})

    assert result.rc == 0, result.stderr
    assert (hatch_app / ".uv-cache" / "CACHEDIR.TAG").is_file()
    packed = {"PKG-INFO", "README.md", "pyproject.toml", "src/app/__init__.py"}
    assert names_in(hatch_app / "dist" / "app-1.0.tar.gz") == packed


@pytest.mark.parametrize("used", [True, False])
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_gitlab_caches_in_the_checkout_is_not_packed(
    build: Callable[..., Result], tmp_path: Path, commit_all: Callable[[Path], None], backend: str, used: bool
) -> None:
    """uv only warns of a cache in the tree; hatchling packs it, and setuptools where the project asks for all."""
    everything = '[tool.setuptools.package-data]\n"*" = ["**/*"]\n'
    app = make_package(tmp_path / "app", backend=backend, more=everything if backend == "setuptools" else "")
    write(app, {"MANIFEST.in": "global-include *\n"})
    commit_all(app)
    write(app, {".uv-actions/key": "linux-uv-py\n", ".uv-actions/cache/wheels-v8/secret": "x"})
    # Where jobs don't restore, on tags among them, the cache in use is another one.
    cache = app / ".uv-actions" / "cache" if used else tmp_path / "cache"

    result = build(app, env={"UV_CACHE_DIR": str(cache), "UV_ACTIONS_TEMP": str(app / ".uv-actions" / "temp")})

    assert result.rc == 0, result.stderr
    for name in result.output_lines("files"):
        packed = names_in(app / "dist" / name)
        assert any(path.endswith("app/__init__.py") for path in packed)
        assert not [path for path in packed if "uv-actions" in path or "wheels-v8" in path]
    assert (app / ".uv-actions" / "key").is_file()


def test_settings_for_other_work_do_not_reach_it(build: Callable[..., Result], hatch_app: Path, tmp_path: Path) -> None:
    names = ["UV_NO_BUILD_ISOLATION", "UV_REQUIRE_HASHES", "UV_FROZEN", "UV_LOCKED", "UV_NO_SYNC", "UV_NO_BUILD"]
    elsewhere = {"UV_PROJECT": str(tmp_path), "UV_WORKING_DIR": str(tmp_path), "UV_RESOLUTION": "lowest"}

    result = build(hatch_app, env={**dict.fromkeys(names, "1"), **elsewhere})

    assert result.rc == 0, result.stderr


def test_build_requirements_come_from_sources_only_when_asked(build: Callable[..., Result], hatch_app: Path) -> None:
    make_package(hatch_app / "helper", "uv-actions-test-no-such-package")
    requires = 'requires = ["hatchling", "uv-actions-test-no-such-package"]\nbuild-backend = "hatchling.build"'
    settings = (hatch_app / "pyproject.toml").read_text().replace(BACKENDS["hatchling"], requires)
    settings += '[tool.uv.sources]\nuv-actions-test-no-such-package = { path = "helper" }\n'
    (hatch_app / "pyproject.toml").write_text(settings)

    without = build(hatch_app)
    assert without.rc == 2
    assert "the source distribution of `app` couldn't be built" in without.stderr
    assert "uv-actions-test-no-such-package was not found" in without.stderr
    assert "`sources: true` if [tool.uv.sources]" in without.stderr

    assert build(hatch_app, "--sources", env={"UV_NO_SOURCES": "1"}).rc == 0


def test_the_mirror_is_asked_for_build_requirements(
    build: Callable[..., Result], hatch_app: Path, index: Index, tmp_path: Path
) -> None:
    index.require_auth = False

    result = build(hatch_app, "--mirror", index.url, env={"UV_CACHE_DIR": str(tmp_path / "cache")})

    assert result.rc == 2
    assert "hatchling was not found in the package registry" in result.stderr
    assert [request.path for request in index.requests if "hatchling" in request.path]


def test_a_mirror_that_wants_a_password(
    build: Callable[..., Result], hatch_app: Path, index: Index, tmp_path: Path
) -> None:
    result = build(hatch_app, "--mirror", index.url, env={"UV_CACHE_DIR": str(tmp_path / "cache")})

    assert result.rc == 4
    assert "give uv credentials" in result.stderr


def test_a_mirror_that_does_not_answer(build: Callable[..., Result], hatch_app: Path, tmp_path: Path) -> None:
    env = {"UV_CACHE_DIR": str(tmp_path / "cache"), "UV_HTTP_RETRIES": "0"}

    result = build(hatch_app, "--mirror", "http://127.0.0.1:9/simple/", env=env)

    assert result.rc == 5
    assert "set `mirror` to one that can" in result.stderr


@pytest.mark.parametrize(
    ("wheel", "reason"),
    [
        (b"no archive", "not a zip file"),
        (b"PK\5\6" + bytes(18), "no METADATA"),  # an archive of no files
    ],
)
def test_a_wheel_that_nobody_could_install(
    build: Callable[..., Result], tmp_path: Path, wheel: bytes, reason: str
) -> None:
    name = "app-1.0-py3-none-any.whl"
    body = f"open(os.path.join(directory, {name!r}), 'wb').write({wheel!r}); return {name!r}"
    files = {
        "backend.py": OWN_BACKEND.format(sdist="pass", wheel=body),
        "pyproject.toml": '[project]\nname = "app"\nversion = "1.0"\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "PKG-INFO": "Metadata-Version: 2.1\nName: app\nVersion: 1.0\n",
    }

    result = build(write(tmp_path / "app", files))

    assert result.rc == 1
    assert "made app-1.0-py3-none-any.whl, which is no valid distribution" in result.stderr
    assert reason in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "app" / "dist").exists()


@pytest.mark.parametrize(
    ("phase", "what", "reason", "rc"),
    [
        ("sdist", 'raise SystemExit("no source today")', "no source today", 1),
        ("wheel", 'raise SystemExit("no wheel today")', "no wheel today", 1),
        ("wheel", 'raise OSError(28, "No space left on device")', "free some disk space", 2),
    ],
)
def test_a_failing_backend(
    build: Callable[..., Result], tmp_path: Path, phase: str, what: str, reason: str, rc: int
) -> None:
    bodies = {"sdist": "pass", "wheel": "pass", phase: what}
    files = {
        "backend.py": OWN_BACKEND.format(**bodies),
        "pyproject.toml": '[project]\nname = "app"\nversion = "1.0"\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "PKG-INFO": "Metadata-Version: 2.1\nName: app\nVersion: 1.0\n",
    }
    write(tmp_path / "app", files)

    result = build(tmp_path / "app")

    assert result.rc == rc
    start, grouped, end = re.split(r"::group::Build app\n|::endgroup::\n", result.stderr)
    assert "Call to `backend.build_" in grouped
    name = {"sdist": "source distribution", "wheel": "wheel"}[phase]
    assert f"::error title=build::the {name} of `app` couldn't be built" in end
    assert reason in end
    assert "::error" not in start
    assert not (tmp_path / "app" / "dist").exists()


# ---------------------------------------------------------------------------------------------------------------------
# The checks


def built(build: Callable[..., Result], folder: Path, *arguments: str) -> Path:
    assert (result := build(folder, *arguments)).rc == 0, result.stderr
    return folder


def test_a_good_package_has_no_findings(build: Callable[..., Result], check: Callable[..., Result], app: Path) -> None:
    result = check(built(build, app))

    assert (result.rc, result.stdout) == (0, "distributions checked: 2, findings: 0\n")


def test_a_readme_that_an_index_cannot_show(
    build: Callable[..., Result], check: Callable[..., Result], app: Path
) -> None:
    settings = app / "pyproject.toml"
    settings.write_text(settings.read_text().replace("README.md", "README.rst"))
    write(app, {"README.rst": "Title\n=====\n\n``broken\n"})

    result = check(built(build, app), "--format", "json")

    assert result.rc == 1
    finding = json.loads(result.stdout)["findings"][0]
    assert (finding["rule"], finding["level"], finding["file"], finding["line"]) == (
        "description", "error", "pyproject.toml", 4,
    )  # fmt: skip
    assert "Inline literal start-string without end-string" in finding["message"]


def test_a_missing_readme_is_a_warning(build: Callable[..., Result], check: Callable[..., Result], app: Path) -> None:
    settings = app / "pyproject.toml"
    settings.write_text(settings.read_text().replace('readme = "README.md"\n', ""))
    built(build, app)

    lenient = check(app)
    assert lenient.rc == 0
    assert lenient.stdout.startswith("warning: app-1.0-py3-none-any.whl, app-1.0.tar.gz: it has no description")

    assert check(app, "--fail-on", "warning").rc == 1


def test_tests_in_the_wheel_are_an_error(
    build: Callable[..., Result], check: Callable[..., Result], tmp_path: Path
) -> None:
    folder = make_package(
        tmp_path / "x", backend="hatchling", more='[tool.hatch.build.targets.wheel]\npackages = ["src/app", "tests"]\n'
    )
    write(folder, {"tests/__init__.py": "x = 1\n"})

    result = check(built(build, folder))

    assert result.rc == 1
    assert "Wheel contains common toplevel name in library: tests/ [W005]" in result.stdout
    assert "app/ [W005]" not in result.stdout


def test_each_package_has_its_own_settings(
    build: Callable[..., Result], check: Callable[..., Result], workspace: Path
) -> None:
    for name, ignored in (("cli", '[tool.check-wheel-contents]\nignore = ["W010", "W009"]\n'), ("other", "")):
        packages = f'[tool.hatch.build.targets.wheel]\npackages = ["src/acme_{name}", "data"]\n'
        folder = make_package(workspace / "packages" / name, f"acme-{name}", "hatchling", "2.0", packages + ignored)
        write(folder, {"data/x.txt": name})
    result = build(workspace, "--all-packages")

    files = [f"--files={name}" for name in result.output_lines("files")]
    projects = [f"--projects={folder}" for folder in result.output_lines("projects")]
    checked = check(workspace, *files, *projects)

    assert checked.rc == 1
    errors = [line for line in checked.stdout.splitlines() if line.startswith("error:")]
    assert [re.findall(r"error: (acme_\w+)-.* \[(W\d+)]", line)[0] for line in errors] == [
        ("acme_cli", "W005"), ("acme_other", "W005"), ("acme_other", "W009"), ("acme_other", "W010"),
    ]  # fmt: skip


def test_settings_of_the_checks_that_are_wrong(
    build: Callable[..., Result], check: Callable[..., Result], app: Path
) -> None:
    with (app / "pyproject.toml").open("a") as file:
        file.write('[tool.check-wheel-contents]\nignore = ["W999"]\n')

    result = check(built(build, app))

    assert result.rc == 2
    assert "[tool.check-wheel-contents] is wrong" in result.stderr


def test_files_that_are_no_distributions(check: Callable[..., Result], tmp_path: Path) -> None:
    write(tmp_path / "dist", {"app-1.0-py3-none-any.whl": "junk", "app-1.0.tar.gz": "junk"})

    result = check(tmp_path)

    assert result.rc == 1
    assert "no valid wheel" in result.stdout
    assert "not a gzip file" in result.stdout
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", [["--dist", "nowhere"], ["--files", "app-1.0.tar.gz"], []])
def test_nothing_to_check(check: Callable[..., Result], tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "dist").mkdir()

    result = check(tmp_path, *arguments)

    assert result.rc == 2
    assert "::error title=check_dist::" in result.stderr
