#!/usr/bin/env -S uv run --no-config --locked --script
# /// script
# requires-python = ">=3.10"
# dependencies = ["tomli>=2; python_version < '3.11'"] # of cache_key and lock_check, which this Python runs too
# ///
"""Makes a project's environment from its lock, and tells the job's later steps where everything is.

It makes the restored cache ready, runs `uv sync --locked` with the wanted groups, extras and packages, sees to it that
the environment has the Python that was asked for, exports uv's folder on PATH (and UV_CACHE_DIR, UV_PYTHON,
UV_PROJECT_ENVIRONMENT, UV_NO_SYNC where they apply), sets the outputs `uv-version`, `uv-path`, `python-version`,
`venv`, `cache-state`, `cache-key`, `cache-path` and `cache-save`, and writes the summary.

With `--mirror` uv can't use the lock itself, whose files are named by the index it was made with. The lock is checked,
exported with its hashes, and installed from the mirror by `uv pip sync --require-hashes`; later commands then must not
sync, which UV_NO_SYNC=1 tells them. The mirror's credentials are UV_INDEX_MIRROR_USERNAME and UV_INDEX_MIRROR_PASSWORD,
or stand in a netrc file.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from argparse import BooleanOptionalAction, Namespace
from pathlib import Path

from _common import (
    Cache,
    Exit,
    Failure,
    Items,
    Parser,
    add_path,
    add_summary,
    export,
    find_uv,
    folder_size,
    human_size,
    run_main,
    say,
    set_outputs,
    settle_cache,
    trace,
    write_cache_marker,
)

# What uv says when it fails, what that means for the caller, and how to mend it. The first match counts.
CAUSES: tuple[tuple[str, Exit, str, str], ...] = (
    (
        r"needs to be updated, but",
        Exit.FINDINGS,
        "`uv.lock` doesn't fit `pyproject.toml`",
        "run `uv lock` and commit `uv.lock`",
    ),
    (
        r"No `pyproject\.toml` found",
        Exit.USAGE,
        "there is no `pyproject.toml` in `working-directory` or above it",
        "check the project out before this step (actions/checkout), correct `working-directory`, or set `sync: false`",
    ),
    (
        r"Unable to find lockfile",
        Exit.USAGE,
        "the project has no `uv.lock`",
        "run `uv lock` and commit `uv.lock`, or set `sync: false`",
    ),
    (
        r"Failed to parse `uv\.lock`",
        Exit.USAGE,
        "`uv.lock` can't be read: perhaps merge markers, or a newer format",
        "run `uv lock` with the newest uv that your team uses, and commit `uv.lock`",
    ),
    (
        r"Required uv version",
        Exit.USAGE,
        "the project's `required-version` refuses this uv",
        "remove `uv-version`, so that uv is chosen by `required-version`, or make the two agree",
    ),
    (
        r"Hash mismatch for",
        Exit.VERIFICATION,
        "a package differs from its hash in `uv.lock`",
        "find out why before you lock anew: the index serves another file than the one that was locked",
    ),
    (
        r"401 Unauthorized|403 Forbidden|Missing credentials",
        Exit.UNAUTHORISED,
        "an index refuses the credentials, or misses them",
        "set UV_INDEX_<NAME>_USERNAME and _PASSWORD for the index that uv names above; NAME is MIRROR for `mirror`",
    ),
    (
        r"was not found in the package registry|404 Not Found",
        Exit.NETWORK,
        "an index or `mirror` doesn't have a package or file that uv names above",
        "bring it there, or lock another version (`uv lock --upgrade-package NAME`)",
    ),
    (
        r"[Cc]onnectivity is disabled|network was disabled",
        Exit.NETWORK,
        "uv's cache doesn't have all that is needed, and UV_OFFLINE forbids to download it",
        "unset UV_OFFLINE for this step, or fill the cache before",
    ),
    (
        r"No interpreter found|No download found for request",
        Exit.USAGE,
        "no Python of the wanted version is here, and none may or can be downloaded",
        "use an image that has it, allow downloads (UV_PYTHON_DOWNLOADS), or choose another `python-version`",
    ),
    (
        r"Failed to (download|install).*(cpython|python-build)",
        Exit.NETWORK,
        "the wanted Python isn't on this machine and can't be downloaded",
        "use an image that has it, or point UV_PYTHON_INSTALL_MIRROR to where this machine may download it",
    ),
    (r"No space left on device", Exit.USAGE, "the disk is full", "free some space, or choose a larger runner"),
    (
        r"error sending request|Failed to fetch|[Cc]onnection (refused|reset)|dns error|timed out|Could not connect",
        Exit.NETWORK,
        "an index can't be reached",
        "run the job again; behind a firewall, set `mirror` to an index that this machine reaches",
    ),
)

# Variables of the job that uv doesn't get here. A locked sync is what we do, whatever the job says of locks; the inputs
# say which project; an active environment, or the system's, is not the project's; and which packages need a hash is
# the lock's to say.
DROPPED_VARIABLES = (
    "CONDA_PREFIX",
    "UV_FROZEN",
    "UV_LOCKED",
    "UV_NO_SYNC",
    "UV_PROJECT",
    "UV_REQUIRE_HASHES",
    "UV_SYSTEM_PYTHON",
    "UV_WORKING_DIR",
    "UV_WORKING_DIRECTORY",
    "VIRTUAL_ENV",
)


def selection(options: Namespace) -> list[str]:
    """The arguments of `uv sync` and `uv export` that say what is installed."""
    chosen = [f"--group={group}" for group in options.groups]
    chosen += [] if options.default_groups else ["--no-default-groups"]
    chosen += [f"--extra={extra}" for extra in options.extras]
    chosen += [f"--package={package}" for package in options.packages]
    return [*chosen, *options.sync_args]


class Uv:
    """uv in the project's folder, with the environment that later steps will have too."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.path = find_uv()
        self.directory = directory
        self.environment = environment

    def ask(self, *arguments: str) -> str:
        """What uv answers on stdout; empty if it fails."""
        result = self._read(arguments)
        return result.stdout.strip() if result.returncode == 0 else ""

    def read(self, *arguments: str) -> str:
        """What uv writes on stdout.

        Raises:
            Failure: uv failed.
        """
        result = self._read(arguments)
        sys.stderr.write(result.stderr)
        if result.returncode:
            raise failure_of(" ".join(arguments[:2]), result.returncode, result.stderr)
        return result.stdout

    def run(self, *arguments: str, stdin: str = "", more: dict[str, str] | None = None) -> None:
        """Runs uv with its output in the log.

        Raises:
            Failure: uv failed; the text of its own error is in the log already.
        """
        say(f"$ uv {' '.join(arguments)}")
        seen = []
        with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
            file.write(stdin)
            file.seek(0)
            with subprocess.Popen(
                [self.path, *arguments],
                cwd=self.directory,
                env={**self.environment, **(more or {})},
                stdin=file,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
            ) as process:
                for line in process.stdout or ():
                    sys.stderr.write(line)
                    sys.stderr.flush()
                    seen.append(line)
        if process.returncode:
            raise failure_of(" ".join(arguments[:2]), process.returncode, "".join(seen))

    def _read(self, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        trace([self.path, *arguments])
        return subprocess.run(
            [self.path, *arguments],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )


def failure_of(command: str, code: int, text: str) -> Failure:
    """The failure that fits uv's own words; one that we don't know keeps uv's exit code."""
    for pattern, known, message, mend in CAUSES:
        if re.search(pattern, text):
            if known is Exit.FINDINGS and os.environ.get("UV_DEFAULT_INDEX", os.environ.get("UV_INDEX_URL")):
                mend += "; if it fits without this machine's default index, give that index as `mirror`"
            return Failure(message, mend, known)
    return Failure(
        f"`uv {command}` failed with exit code {code}", "read uv's own message above", Exit(1 if code == 1 else 2)
    )


def sync(uv: Uv, options: Namespace) -> None:
    """The environment from the lock, which must fit the project."""
    uv.run("sync", "--locked", *selection(options))


def sync_from_mirror(uv: Uv, options: Namespace) -> None:
    """The same environment with every file from the mirror, each checked against its hash in the lock."""
    check_lock(uv, options)
    requirements = uv.read("export", "--frozen", "--quiet", "--no-header", "--no-annotate", *selection(options))
    local, locked = split_requirements(requirements)
    venv = environment_folder(uv)
    if venv.is_dir() and any(venv.iterdir()) and not (venv / "pyvenv.cfg").is_file():
        raise Failure(f"{venv} is in the way: it isn't a virtual environment", "move it, or set UV_PROJECT_ENVIRONMENT")
    uv.run("venv", "--quiet", "--clear", str(venv))
    # By its name uv finds the credentials: UV_INDEX_MIRROR_USERNAME and UV_INDEX_MIRROR_PASSWORD.
    index = {"UV_DEFAULT_INDEX": f"mirror={options.mirror}"}
    target = f"--python={venv}"
    uv.run("pip", "sync", target, "--require-hashes", "--allow-empty-requirements", "-", stdin=locked, more=index)
    if local:
        # Local packages are exported by paths that begin at the lock.
        beside_lock = Uv(lock_folder(uv), uv.environment)
        beside_lock.run("pip", "install", target, "--no-deps", "-r", "-", stdin=local, more=index)


def check_lock(uv: Uv, options: Namespace) -> None:
    """Sees to it that the lock fits the project, which the mirror's own answers can't tell.

    Raises:
        Failure: it doesn't; with the text of the first finding.
    """
    # Outputs and summary are this component's own.
    own = ("GITHUB_", "UV_ACTIONS_OUTPUT", "UV_ACTIONS_EXPORTS", "UV_ACTIONS_SUMMARY")
    environment = {name: value for name, value in uv.environment.items() if not name.startswith(own)}
    result = subprocess.run(
        [
            sys.executable,
            "-E",
            str(Path(__file__).with_name("lock_check.py")),
            f"--working-directory={uv.directory}",
            f"--mirror={options.mirror}",
            # This project's lock alone: what another one of the repository lacks is `lock-check`'s to tell.
            "--paths=pyproject.toml",
            "--format=json",
        ],
        env=environment,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    if result.returncode == Exit.OK:
        return
    if result.returncode == Exit.FINDINGS:
        finding = next(each for each in json.loads(result.stdout)["findings"] if each["level"] == "error")
        raise Failure(f"{finding['file']}: {finding['message']}", finding["fix"], Exit.FINDINGS)
    sys.exit(result.returncode)


def split_requirements(requirements: str) -> tuple[str, str]:
    """Exported requirements as (the project's own and other local packages, all others with their hashes).

    Raises:
        Failure: one comes from Git, which has no hash and isn't in any mirror.
    """
    local, locked = [], []
    for requirement in requirements.replace("\\\n", "\0").splitlines():
        if " @ git+" in requirement:
            raise Failure(
                f"`{requirement.split(' @ ')[0]}` comes from Git, which a mirror doesn't have",
                "publish it to an index, or leave out `mirror`",
            )
        own = requirement.startswith(("-e ", ".", "/", "file:")) or " @ file:" in requirement
        (local if own else locked).append(requirement.replace("\0", "\\\n"))
    return "\n".join(local), "\n".join(locked)


def environment_folder(uv: Uv) -> Path:
    """Where uv keeps the project's environment."""
    configured = uv.environment.get("UV_PROJECT_ENVIRONMENT")
    return (lock_folder(uv) / (configured or ".venv")).absolute()


def lock_folder(uv: Uv) -> Path:
    """The folder of the project's lock, which a workspace has at its root alone."""
    return next((each for each in (uv.directory, *uv.directory.parents) if (each / "uv.lock").is_file()), uv.directory)


def check_python(uv: Uv, request: str, venv: Path) -> str:
    """The version of the environment's Python.

    Raises:
        Failure: it isn't the one that was asked for.
    """
    config = venv / "pyvenv.cfg"
    if not config.is_file():
        # UV_PROJECT_ENVIRONMENT is a Python's own installation (`/usr/local` of a container), and uv has checked it.
        found = uv.ask("python", "find", "--show-version", str(venv))
        if not found:
            raise Failure(
                f"uv has made no environment in {venv}, beside the project's lock",
                "remove a `uv.lock` inside a member of a workspace (uv uses the one at the root alone), and from"
                " `sync-args` what names another project or environment",
            )
        return found
    version = re.search(r"^version(?:_info)? *= *(\S+)", config.read_text(encoding="utf-8"), re.MULTILINE)
    found = version.group(1) if version else "unknown"
    if request and not fits(uv, request, venv, found):
        raise Failure(
            f"the environment has Python {found}, though `python-version` is {request!r}",
            "remove what chooses another one: a `--python` in `sync-args`, or UV_PYTHON",
        )
    return found


def fits(uv: Uv, request: str, venv: Path, version: str) -> bool:
    """Whether the environment, of that version, has the Python that was asked for."""
    if is_path(request, uv.directory):
        return uv.ask("python", "find", "--show-version", request) == version
    # Asked inside of an environment, uv takes its Python exactly if that is what was asked for. Left to itself it would
    # look into `.venv` alone, wherever UV_PROJECT_ENVIRONMENT is.
    inside = Uv(uv.directory, {**uv.environment, "VIRTUAL_ENV": str(venv)})
    chosen = inside.ask("python", "find", "--no-project", request)
    return Path(chosen).parent.resolve().is_relative_to(venv.resolve())


def is_path(request: str, directory: Path) -> bool:
    """Whether a request for a Python names an interpreter or its folder, as the outputs of other actions do."""
    return bool(request) and ("/" in request or os.sep in request or (directory / request).exists())


def describe(cache: Cache) -> str:
    """The cache in a sentence: its state, why, and what was moved."""
    sentence = f"**{cache.state}**" + (f": {cache.reason}" if cache.reason else "")
    if cache.state in ("exact", "partial"):
        sentence += f"; {human_size(cache.bytes)} restored in {cache.seconds} s"
    if cache.save:
        sentence += f"; {human_size(folder_size(Path(cache.path)))} to save"
    return sentence


def summary(rows: dict[str, str], exported: dict[str, str]) -> str:
    """The step's page: a table, and what later steps get."""

    def cell(text: str) -> str:
        return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")

    lines = ["### uv: setup", "", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {cell(value)} |" for name, value in rows.items()]
    names = ", ".join(f"`{name}`" for name in ("PATH", *exported))
    return "\n".join([*lines, f"| for later steps | {names} |", ""])


def parse() -> Namespace:
    """The command line and the environment."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    parser.add_folder()
    add(
        "--python-version",
        default="",
        metavar="REQUEST",
        help="the Python to use, as for uv's --python (default: the project's)",
    )
    add("--sync", action=BooleanOptionalAction, default=True, help="whether to make the environment (default: yes)")
    add("--groups", action=Items, help="dependency groups beside the default ones")
    add(
        "--default-groups",
        action=BooleanOptionalAction,
        default=True,
        help="whether to install the default groups (default: yes)",
    )
    add("--extras", action=Items, help="extras to install")
    add("--packages", action=Items, help="workspace members to install (default: the one of the folder)")
    add("--sync-args", action=Items, help="more arguments for `uv sync`")
    parser.add_mirror()
    cache = parser.add_argument_group("the cache, as `cache_key plan` planned it and the restore found it")
    add = cache.add_argument
    add(
        "--cache-state",
        choices=["exact", "partial", "miss", "off"],
        default="off",
        help="what the restore found (default: off)",
    )
    add("--cache-path", type=Path, default=Path(), metavar="DIR", help="its folder, or an empty one if it is off")
    add("--cache-key", default="", help="its key")
    add("--cache-reason", default="", help="why it is off, or isn't saved")
    add("--cache-save", action=BooleanOptionalAction, default=False, help="whether this job saves it")
    add("--cache-started", type=int, default=0, metavar="SECONDS", help="when the restore began, in Unix time")
    add("--cache-timed-out", action=BooleanOptionalAction, default=False, help="whether the restore was given up")
    return parser.parse_args()


def main() -> int:
    options = parse()
    directory = options.working_directory
    cache = settle_cache(
        state=options.cache_state,
        path=options.cache_path,
        key=options.cache_key,
        reason=options.cache_reason,
        save=options.cache_save,
        started=options.cache_started,
        timed_out=options.cache_timed_out,
        saves_itself=True,
    )

    exported: dict[str, str] = {}
    if cache.path:
        exported["UV_CACHE_DIR"] = cache.path
    if options.python_version:
        exported["UV_PYTHON"] = options.python_version
    environment = {**os.environ, **exported}
    for variable in DROPPED_VARIABLES:
        environment.pop(variable, None)
    uv = Uv(directory, environment)
    environment["PATH"] = os.pathsep.join([os.path.dirname(uv.path), environment.get("PATH", "")])
    uv_version = uv.ask("--version").split()[1]

    rows = {"uv": f"{uv_version} (`{uv.path}`)"}
    python, venv = "", None
    if options.sync:
        began = time.monotonic()
        (sync_from_mirror if options.mirror else sync)(uv, options)
        if cache.save:
            write_cache_marker(Path(cache.path), options.cache_key)
        venv = environment_folder(uv)
        python = check_python(uv, options.python_version, venv)
        rows["environment"] = f"`{venv}`, made in {time.monotonic() - began:.1f} s"
        if environment.get("UV_PROJECT_ENVIRONMENT"):
            exported["UV_PROJECT_ENVIRONMENT"] = str(venv)
        if is_path(options.python_version, directory):
            # uv's `pip` commands would take a path for their target, and change that installation.
            exported["UV_PYTHON"] = python
        if options.mirror:
            exported["UV_NO_SYNC"] = "1"
    else:
        python = uv.ask("python", "find", "--show-version", *filter(None, [options.python_version]))
    rows["Python"] = python or "none found yet"
    rows["cache"] = describe(cache)

    add_path(Path(uv.path).parent)
    export(exported)
    add_summary(summary(rows, exported))
    set_outputs(
        {
            "uv-version": uv_version,
            "uv-path": uv.path,
            "python-version": python,
            "venv": venv or "",
            "cache-state": cache.state,
            "cache-key": options.cache_key if cache.state != "off" else "",
            "cache-path": cache.path,
            "cache-save": cache.save,
        }
    )
    return Exit.OK


if __name__ == "__main__":
    run_main(main)
