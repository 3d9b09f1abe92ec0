"""The work of `tests/demo`: a project from checkout to published package, on an engine and index of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tomllib
from engines.machine import Machine
from engines.outcome import Outcome
from services.index import Index

ROOT = Path(__file__).resolve().parents[1]

# What a project's folder may hold that no checkout has.
NOT_CHECKED_OUT = (".git", ".venv", "dist", "__pycache__", "*.egg-info", ".pytest_cache", ".ruff_cache", ".mypy_cache")

# A large project, cold, on a slow connection.
TIMEOUT_SECONDS = 1800

LOG_LINES = 40


class Problem(Exception):
    """An end that the user can mend."""


@dataclass(frozen=True)
class Project:
    """A checkout that the demo may do with what it likes; `folder` is the project's place in it, with `/`."""

    checkout: Path
    folder: str
    is_workspace: bool


@dataclass(frozen=True)
class Row:
    """A line of the table; `seconds` is nothing for a step that didn't run."""

    step: str
    ok: bool | None
    seconds: float | None
    told: str


# ---------------------------------------------------------------------------------------------------------------------
# The project


def copy_of(given: Path, into: Path) -> Project:
    """A clone of the project's repository, or a copy of its folder as a repository with one commit."""
    if not (given / "pyproject.toml").is_file():
        raise Problem(f"{given} has no pyproject.toml, so it is no project")
    root = with_lock(given)
    if git("rev-parse", "--show-toplevel", cwd=root) == str(root):
        if git("status", "--porcelain", cwd=root):
            print("note: what isn't committed is not in the demo")
        git("clone", "--quiet", str(root), str(into), cwd=root, check=True)
    else:
        shutil.copytree(root, into, symlinks=True, ignore=shutil.ignore_patterns(*NOT_CHECKED_OUT))
        identity = ("-c", "user.name=demo", "-c", "user.email=demo@example.org", "-c", "commit.gpgsign=false")
        git("init", "--quiet", "--initial-branch=main", cwd=into, check=True)
        git("add", "--all", cwd=into, check=True)
        git(*identity, "commit", "--quiet", "--message=The project", cwd=into, check=True)
    settings = tomllib.loads((given / "pyproject.toml").read_text(encoding="utf-8"))
    is_workspace = "workspace" in settings.get("tool", {}).get("uv", {})
    return Project(into, given.relative_to(root).as_posix(), is_workspace)


def with_lock(given: Path) -> Path:
    """The folder whose lock is the project's: its own, or the root of its workspace."""
    for folder in (given, *given.parents):
        if (folder / "uv.lock").is_file():
            return folder
        if (folder / ".git").exists():
            break
    return given


def git(*arguments: str, cwd: Path, check: bool = False) -> str:
    """What git prints; nothing if it fails, unless `check` makes that a problem."""
    done = subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, errors="replace", check=False)
    if check and done.returncode:
        raise Problem(f"git couldn't copy the project: {done.stderr.strip()}")
    return done.stdout.strip() if done.returncode == 0 else ""


# ---------------------------------------------------------------------------------------------------------------------
# The job


def steps_of(project: Project, index: Index) -> list[tuple[str, dict[str, str]]]:
    """The components and their options, as a user writes them."""
    place = {"working-directory": project.folder}
    # Of a workspace the demo takes all packages.
    every = project.is_workspace
    return [
        ("setup", {**place, **({"sync-args": "--all-packages"} if every else {})}),
        ("lock-check", place),
        ("test", place),
        ("build", {**place, "all-packages": str(every).lower()}),
        (
            "publish",
            {
                **place,
                "publish-url": index.upload_url,
                "check-url": index.url,
                "username": index.username,
                "password": "INDEX_PASSWORD",
            },
        ),
    ]


def rows_of(outcome: Outcome, steps: list[str]) -> list[Row]:
    """What each step did and how long it took."""
    ran = steps[: steps.index(outcome.failed) + 1] if outcome.failed else steps
    rows = []
    for name in steps:
        if name not in ran:
            rows.append(Row(name, None, None, "not run"))
            continue
        ok = name != outcome.failed
        told = in_words(name, outcome.outputs[name]) if ok else "failed"
        rows.append(Row(name, ok, outcome.seconds.get(name), told))
    return rows


def in_words(step: str, outputs: dict[str, str]) -> str:
    """The outputs of a step that tell most."""
    if step == "setup":
        return f"uv {outputs['uv-version']}, Python {outputs['python-version']}, cache: {outputs['cache-state']}"
    if step == "lock-check":
        return f"{outputs['state']}, findings: {outputs['findings']}"
    if step == "test":
        return f"passed: {outputs['passed']}, failed: {outputs['failed']}, skipped: {outputs['skipped']}"
    if step == "build":
        return "\n".join(outputs["files"].split())
    return f"uploaded: {outputs['published']}, there before: {outputs['skipped']}"


# ---------------------------------------------------------------------------------------------------------------------
# The published package


def install_back(outcome: Outcome, index: Index, folder: Path) -> Row:
    """Installs what was published into a fresh environment, and imports it there."""
    started = time.monotonic()
    wheels = [name.split("-") for name in outcome.outputs["build"]["files"].split() if name.endswith(".whl")]
    names = [wheel[0] for wheel in wheels]
    packages = [f"{wheel[0]}=={wheel[1]}" for wheel in wheels]
    # The password in the environment; what isn't in the index comes from where uv is used to get it.
    login = {"UV_INDEX_DEMO_USERNAME": index.username, "UV_INDEX_DEMO_PASSWORD": index.password}
    clean = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT")}
    environment = {**clean, **login, "UV_INDEX": f"demo={index.url}", "UV_CACHE_DIR": str(folder / "cache")}
    venv = folder / "venv"
    before = len(index.requests)
    for command in (
        ["uv", "venv", "--quiet", "--no-project", "--python", outcome.outputs["setup"]["python-version"], str(venv)],
        ["uv", "pip", "install", "--quiet", "--python", str(venv), *packages],
        [str(venv / "bin" / "python"), "-c", IMPORT, *names],
    ):
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode:
            print(done.stdout + done.stderr, file=sys.stderr)
            return Row("install back", False, time.monotonic() - started, "failed")
    fetched = {Path(request.path).name for request in index.requests[before:] if request.path.endswith(".whl")}
    if len(fetched) < len(names):
        print(f"only these came from the index: {', '.join(fetched) or 'none'}", file=sys.stderr)
        return Row("install back", False, time.monotonic() - started, "failed")
    return Row("install back", True, time.monotonic() - started, done.stdout.strip())


# Prints `NAME VERSION, imported MODULE ...` for each distribution that is an argument.
IMPORT = """\
import importlib, importlib.metadata, re, sys
for name in sys.argv[1:]:
    tops = {re.sub(r"[.].*", "", file.parts[0]) for file in importlib.metadata.files(name) if file.suffix == ".py"}
    modules = sorted(top for top in tops if top.isidentifier())
    for module in modules:
        importlib.import_module(module)
    print(name, importlib.metadata.version(name) + ", imported " + " ".join(modules))
"""


# ---------------------------------------------------------------------------------------------------------------------


def show(rows: list[Row]) -> None:
    """Prints the table."""
    print(f"\n{'step':<14}{'':<8}{'seconds':>8}  what it did")
    for row in rows:
        state = {True: "ok", False: "FAILED", None: "-"}[row.ok]
        seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
        first, *more = row.told.splitlines() or [""]
        print(f"{row.step:<14}{state:<8}{seconds:>8}  {first}".rstrip())
        for line in more:
            print(f"{'':<32}{line}")
    print(f"{'together':<22}{sum(row.seconds or 0 for row in rows):>8.1f}")


def explain(outcome: Outcome) -> None:
    """Why a step failed: what the platform's reports say, or else the end of the log."""
    print(f"\n{outcome.failed or 'the job'} failed:", file=sys.stderr)
    lines = outcome.findings.strip().splitlines() or outcome.log.splitlines()[-LOG_LINES:]
    print("\n".join(f"  {line}" for line in lines), file=sys.stderr)


PLATFORMS = ("github", "gitlab", "jenkins", "buildkite")


def demo(given: Path, platform: str, folder: Path) -> int:
    """The way of a project on one platform; 0 if it came to its end."""
    folder.mkdir()
    project = copy_of(given, folder / "project")
    release = folder / "release"
    subprocess.run(
        [sys.executable, ROOT / "scripts" / "release_tree.py", "build", release], check=True, stdout=subprocess.DEVNULL
    )
    (folder / "shared").mkdir()
    machine = Machine(release, folder / "shared")
    with machine.engine(platform, folder / "engine") as engine, Index(folder / "index") as index:
        steps = steps_of(project, index)
        names = [name for name, _ in steps]
        print(f"{given.name}: {', '.join(names)} on {platform}'s engine with nothing installed; this takes a minute")
        sys.stdout.flush()
        outcome = engine.components(
            project.checkout, steps, secrets={"INDEX_PASSWORD": index.password}, timeout=TIMEOUT_SECONDS
        )
        rows = rows_of(outcome, names)
        if outcome.ok:
            rows.append(install_back(outcome, index, folder))
    show(rows)
    if not outcome.ok:
        explain(outcome)
    return 0 if outcome.ok and all(row.ok for row in rows) else 1


def main() -> int:
    project, wanted = Path(sys.argv[1]).resolve(), sys.argv[2]
    if wanted not in (*PLATFORMS, "all"):
        print(f"error: no platform {wanted!r}; there are: {', '.join(PLATFORMS)}, all", file=sys.stderr)
        return 2
    platforms = list(PLATFORMS) if wanted == "all" else [wanted]
    with tempfile.TemporaryDirectory(prefix="uv-actions-demo-", ignore_cleanup_errors=True) as name:
        try:
            return max(demo(project, platform, Path(name).resolve() / platform) for platform in platforms)
        except (Problem, RuntimeError, TimeoutError, tomllib.TOMLDecodeError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
