#!/usr/bin/env -S uv run --no-config --locked --script
# /// script
# requires-python = ">=3.10"
# dependencies = ["tomli>=2; python_version < '3.11'"]
# ///
"""Runs a project's tests in its locked environment, or against the newest or the oldest packages it allows.

With `--resolution locked` the project's environment is brought up to its lock; what `setup` installed stays. With any
other one the tests get an environment of their own, made by `uv pip install`, and `uv.lock` stays as it is.

Failed tests become annotations on their lines and a table in the summary, by `ci_report`. Outputs: `junit` and
`coverage` (absolute paths, empty where there is none), `passed`, `failed` and `skipped` (empty without a JUnit report).

Exit: 0 all passed · 1 a test failed, or the lock doesn't fit · 2 no test ran, or the tests could not be run.
"""

from __future__ import annotations

import configparser
import dataclasses
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from _common import Exit, Failure, Items, Parser, find_uv, job_temp, run_main, say, set_outputs, warn

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# What the job says about locks and environments speaks of its own uv calls. Ours say themselves what they want, and a
# `--locked` beside UV_FROZEN is an error of uv.
OWN_CHOICE = (
    "UV_LOCKED",
    "UV_FROZEN",
    "UV_NO_SYNC",
    "UV_RESOLUTION",
    "UV_SYSTEM_PYTHON",
    "UV_BREAK_SYSTEM_PACKAGES",
    "VIRTUAL_ENV",
)

# Where a component leaves what later steps get.
TOLD_TO_LATER_STEPS = (
    "GITHUB_ENV",
    "GITHUB_PATH",
    "GITHUB_OUTPUT",
    "GITHUB_STEP_SUMMARY",
    "UV_ACTIONS_EXPORTS",
    "UV_ACTIONS_OUTPUT",
    "UV_ACTIONS_SUMMARY",
)

# What a wrapper of ours says of the job, and not of this component.
TOLD_BY_THE_WRAPPER = ("UV_ACTIONS_PLATFORM", "UV_ACTIONS_SUMMARY", "UV_ACTIONS_TEMP")

# pytest's exit codes beside 0 (passed) and 1 (failed): what they mean, and what to do.
# Source: https://docs.pytest.org/en/stable/reference/exit-codes.html
PYTEST_ENDS = {
    2: ("pytest was interrupted before all tests ran", "look in the log at what interrupted it"),
    3: (
        "pytest broke with an internal error",
        "look at the INTERNALERROR lines in the log; often a plugin is at fault",
    ),
    4: (
        "pytest refuses its arguments, its configuration or a conftest.py",
        "mend `args`, pytest's configuration or the conftest.py, as the log says",
    ),
    5: ("no test was collected", "check `args`, `working-directory` and pytest's `testpaths` and `python_files`"),
}


# Where pytest looks for its configuration in a folder, in its order.
PYTEST_FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")


@dataclasses.dataclass(frozen=True)
class Counts:
    """How the test cases of a report ended; errors count as failed."""

    passed: int
    failed: int
    skipped: int

    @property
    def total(self) -> int:
        return self.passed + self.failed + self.skipped


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is run, and where its reports are. `words` is the whole command line; `coverage` is None for none."""

    words: list[str]
    is_pytest: bool
    junit: Path | None
    coverage: Path | None


def main() -> int:
    options = parse()
    directory = options.working_directory
    own = own_folder()
    plan = plan_of(options, directory, own)

    if options.resolution == "locked":
        environment = locked_environment(options, directory, own)
    else:
        environment = resolved_environment(options, directory, own / "venv")
    version = check_python(environment, options.python_version, directory)
    program = find_program(plan.words[0], environment, directory)
    if plan.coverage:
        require_coverage(environment)

    before = stamp(plan.junit)
    code, interruption = run([program, *plan.words[1:]], directory, tests_environment(environment, own, plan))
    junit = plan.junit if plan.junit and stamp(plan.junit) not in (None, before) else None
    coverage = plan.coverage if plan.coverage and plan.coverage.is_file() else None
    counts = None
    if junit:
        name = "pytest" if plan.is_pytest else Path(plan.words[0]).stem
        counts = report(junit, f"{name} ({options.resolution}, Python {version})", directory, own)
    set_outputs(
        {
            "junit": junit or "",
            "coverage": coverage or "",
            "passed": counts.passed if counts else "",
            "failed": counts.failed if counts else "",
            "skipped": counts.skipped if counts else "",
        }
    )
    if interruption:
        say(f"interrupted by {signal.Signals(interruption).name}")
        return 128 + interruption
    return verdict(plan, code, counts, coverage)


def parse() -> Namespace:
    parser = Parser(prog="run_tests", description=__doc__)
    add = parser.add_argument
    parser.add_folder()
    add("--command", default="pytest", help="the program, from the environment; quotes group words (default: pytest)")
    add("--args", action=Items, metavar="ARG", help="its arguments, one at a time: --args=-x --args=tests/unit")
    add("--python-version", default="", metavar="REQUEST", help="the Python to use (default: the project's)")
    add(
        "--resolution",
        default="locked",
        choices=["locked", "highest", "lowest", "lowest-direct"],
        help="the versions to test with (default: locked)",
    )
    add("--groups", action=Items, metavar="GROUP", help="dependency groups beside the default ones")
    add("--junit", default="", metavar="FILE", help="where the JUnit report is written (default: a file of our own)")
    add("--coverage", default="off", choices=["off", "xml"], help="whether to measure coverage (default: off)")
    parser.add_mirror()
    return parser.parse_args()


def own_folder() -> Path:
    """A new folder for this run's reports and environment: parallel jobs in one workspace must not share them."""
    return Path(tempfile.mkdtemp(prefix="uv-actions-test-", dir=job_temp())).resolve()


# ---------------------------------------------------------------------------------------------------------------------
# What is run


def plan_of(options: Namespace, directory: Path, own: Path) -> Plan:
    """The command line with the options for our reports, which only pytest has."""
    words = [*split_words(options.command), *options.args]
    if not words:
        raise Failure("`command` is empty", "leave it out for pytest, or name the program")
    junit = directory / options.junit if options.junit else None
    if junit and junit.is_dir():
        raise Failure(f"`junit` is {options.junit!r}, which is a folder", "give the path of a file: junit: report.xml")
    position = pytest_position(words)
    if not position:
        if options.coverage != "off":
            raise Failure(
                f"`coverage: {options.coverage}` needs pytest, and `command` is {options.command!r}",
                "leave `coverage` out, and let your command measure it",
            )
        return Plan(words, is_pytest=False, junit=junit, coverage=None)

    if any(re.match(r"--junit-?xml(=|$)", word) for word in words):
        raise Failure("`args` say where the JUnit report goes, which the component must know", "use the input `junit`")
    junit = junit or own / "junit.xml"
    ours = [f"--junitxml={junit}"]
    coverage = own / "coverage.xml" if options.coverage == "xml" else None
    if coverage:
        # A bare `--cov` would widen what the user's own `--cov=package` measures.
        given = [*words, *os.environ.get("PYTEST_ADDOPTS", "").split(), *configured_options(directory)]
        ours += [] if any(re.match(r"--cov(=|$)", word) for word in given) else ["--cov"]
        ours.append(f"--cov-report=xml:{coverage}")
    return Plan([*words[:position], *ours, *words[position:]], is_pytest=True, junit=junit, coverage=coverage)


def split_words(command: str) -> list[str]:
    """The words of a command. Quotes group; nothing is expanded, and a backslash is part of a path."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = lexer.escape = ""
    try:
        return list(lexer)
    except ValueError:
        raise Failure(f"`command` is {command!r}: a quote is not closed", "close the quote") from None


def pytest_position(words: Sequence[str]) -> int:
    """Where pytest's own arguments begin: behind `pytest` or `-m pytest`; 0 if it isn't pytest that is run."""
    if re.split(r"[/\\]", words[0])[-1].removesuffix(".exe") in ("pytest", "py.test"):
        return 1
    pairs = enumerate(itertools.pairwise(words), start=2)
    return next((position for position, pair in pairs if pair == ("-m", "pytest")), 0)


def configured_options(directory: Path) -> list[str]:
    """The `addopts` of pytest's configuration: of the nearest file that holds one, from the working directory upwards.

    Source: https://docs.pytest.org/en/stable/reference/customize.html
    """
    for folder in (directory, *directory.parents):
        for name in PYTEST_FILES:
            settings = pytest_settings(folder / name)
            if settings is not None:
                options = settings.get("addopts", "")
                return options.split() if isinstance(options, str) else [str(option) for option in options]
    return []


def pytest_settings(file: Path) -> Mapping[str, Any] | None:
    """pytest's settings in a file; None if it holds none, or can't be read, of which pytest itself will tell."""
    try:
        text = file.read_text(encoding="utf-8")
        if file.name == "pyproject.toml":
            settings = tomllib.loads(text).get("tool", {}).get("pytest", {})
            return settings.get("ini_options", settings) or None
        if file.suffix == ".toml":
            return tomllib.loads(text).get("pytest", {})
        ini = configparser.ConfigParser(interpolation=None, strict=False)
        ini.read_string(text)
    except (OSError, ValueError, configparser.Error):
        return None
    section = "tool:pytest" if file.name == "setup.cfg" else "pytest"
    # A `pytest.ini` counts even if it is empty.
    return ini[section] if section in ini else {} if file.name.endswith("pytest.ini") else None


def find_program(name: str, environment: Path, directory: Path) -> str:
    """The command's program, which must be the environment's: one from the machine would not see the project.

    Raises:
        Failure: it isn't there.
    """
    if re.search(r"[/\\]", name):
        if found := shutil.which(str(directory / name)):
            return found
        raise Failure(f"{name} is no program in {directory}", "check `command`; its path starts at `working-directory`")
    if found := shutil.which(name, path=str(programs(environment))):
        return found
    raise Failure(
        f"{name} isn't in the environment {environment}",
        f"uv add --dev {name}, or name the dependency group that has it in `groups`; "
        "a program of the machine is given by its path",
    )


def require_coverage(environment: Path) -> None:
    python = str(programs(environment) / "python")
    probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pytest_cov') is None)"
    if subprocess.run([python, "-c", probe]).returncode:
        raise Failure(
            "`coverage: xml` needs pytest-cov, which isn't in the environment",
            "uv add --dev pytest-cov, or name the dependency group that has it in `groups`",
        )


# ---------------------------------------------------------------------------------------------------------------------
# The environment


def locked_environment(options: Namespace, directory: Path, own: Path) -> Path:
    """The project's own environment, brought up to its lock, with all that is in it already.

    `setup_env` makes it, as in the component `setup`; what it would tell later steps stays here. Where UV_NO_SYNC is
    set, as after `setup` with a mirror, the environment is taken as it is.
    """
    if os.environ.get("UV_NO_SYNC", "").lower() not in ("", "0", "false"):
        if options.groups:
            warn("`groups` are not installed, since UV_NO_SYNC is set: give them to `setup`")
        return project_environment(directory)
    arguments = [f"--groups={group}" for group in options.groups]
    arguments += [f"--python-version={options.python_version}"] if options.python_version else []
    arguments += [f"--mirror={options.mirror}"] if options.mirror else ["--sync-args=--inexact"]
    result = subprocess.run(
        [
            sys.executable,
            "-E",
            str(Path(__file__).with_name("setup_env.py")),
            f"--working-directory={directory}",
            *arguments,
        ],
        env={**uv_variables(), **dict.fromkeys(TOLD_TO_LATER_STEPS, str(own / "setup.txt"))},
        stdout=sys.stderr,
    )
    if result.returncode:
        # It has told why.
        sys.exit(result.returncode)
    return project_environment(directory)


def project_environment(directory: Path) -> Path:
    """Where uv keeps the project's environment: at the root of the workspace, which is where the lock is."""
    root = next((each for each in (directory, *directory.parents) if (each / "uv.lock").is_file()), directory)
    return root / (os.environ.get("UV_PROJECT_ENVIRONMENT") or ".venv")


def resolved_environment(options: Namespace, directory: Path, environment: Path) -> Path:
    """A new environment with the newest or oldest packages that the project allows."""
    project = find_project(directory)
    variables = uv_variables()
    run_uv(
        ["venv", *([f"--python={options.python_version}"] if options.python_version else []), str(environment)],
        project,
        variables,
        "install a Python that the project allows, or set `python-version` to one that is here",
    )
    variables.pop("UV_PYTHON", None)
    index = [f"--default-index={options.mirror}"] if options.mirror else []
    install = ["pip", "install", f"--python={environment}", f"--resolution={options.resolution}", *index]
    run_uv(
        [*install, *what_to_install(project, options.groups)],
        project,
        variables,
        "with the lowest versions, give the package that it names a higher lower bound",
    )
    return environment


def find_project(directory: Path) -> Path:
    """The nearest folder with a `pyproject.toml`, from the working directory upwards."""
    for folder in (directory, *directory.parents):
        if (folder / "pyproject.toml").is_file():
            return folder
    raise Failure(f"there is no pyproject.toml in {directory} or above it", "set `working-directory` to the project")


def what_to_install(project: Path, groups: Sequence[str]) -> list[str]:
    """The arguments of `uv pip install` that mean what `uv sync` installs: the project with its default groups.

    A workspace's root without a `[project]` stands for all its members, with their groups.
    """
    folders = [Path()]
    document = read_project(project)
    if "project" not in document:
        folders += [member.relative_to(project) for member in members(project, document)]
    arguments: list[str] = []
    missing = set(groups)
    for folder in folders:
        document = read_project(project / folder)
        known = {normal(group) for group in document.get("dependency-groups", {})}
        wanted = [group for group in groups if normal(group) in known]
        missing -= set(wanted)
        file = (folder / "pyproject.toml").as_posix()
        if "project" in document:
            arguments.append(f"--editable=./{folder.as_posix()}" if is_package(document) else f"--requirements={file}")
        arguments += [f"--group={file}:{group}" for group in dict.fromkeys([*default_groups(document), *wanted])]
        arguments += document.get("tool", {}).get("uv", {}).get("dev-dependencies", [])
    if missing:
        raise Failure(
            f"the dependency group `{min(missing)}` is not in {project / 'pyproject.toml'}",
            f"uv add --group {min(missing)} PACKAGE, or take it out of `groups`",
        )
    if not arguments:
        raise Failure(f"{project / 'pyproject.toml'} names nothing to install", "add a `[project]` table")
    return arguments


def normal(name: str) -> str:
    """A group's name as uv compares it: https://packaging.python.org/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_project(folder: Path) -> dict[str, Any]:
    file = folder / "pyproject.toml"
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Failure(f"{file} can't be read: {error}", "mend the file") from None


def members(project: Path, document: Mapping[str, Any]) -> Iterator[Path]:
    """The folders of a workspace's members."""
    workspace = document.get("tool", {}).get("uv", {}).get("workspace", {})
    excluded = {folder for pattern in workspace.get("exclude", []) for folder in project.glob(pattern)}
    for pattern in workspace.get("members", []):
        for folder in sorted(project.glob(pattern)):
            if (folder / "pyproject.toml").is_file() and folder not in excluded:
                yield folder


def is_package(document: Mapping[str, Any]) -> bool:
    """Whether uv would build and install the project itself, or its dependencies alone."""
    return document.get("tool", {}).get("uv", {}).get("package", "build-system" in document)


def default_groups(document: Mapping[str, Any]) -> list[str]:
    """The groups that uv installs unasked: `dev`, or what `default-groups` names."""
    known = document.get("dependency-groups", {})
    chosen = document.get("tool", {}).get("uv", {}).get("default-groups", ["dev"] if "dev" in known else [])
    return list(known) if chosen == "all" else chosen


def check_python(environment: Path, request: str, directory: Path) -> str:
    """The version of the environment's Python.

    Raises:
        Failure: there is no environment, or its Python isn't the one that was asked for.
    """
    python = shutil.which("python", path=str(programs(environment)))
    if not python:
        raise Failure(f"there is no environment in {environment}", "run `uv sync`, or the component `setup`, before")
    version = subprocess.run(
        [python, "-c", "import platform; print(platform.python_version())"],
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ).stdout.strip()
    if not request:
        return version
    # Asked inside of the environment, uv takes its Python exactly if that fits the request.
    chosen = subprocess.run(
        [find_uv(), "python", "find", "--no-project", "--no-python-downloads", request],
        cwd=directory,
        env={**uv_variables(), "VIRTUAL_ENV": str(environment)},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    ).stdout.strip()
    if not chosen or not Path(chosen).absolute().is_relative_to(environment):
        raise Failure(
            f"the environment {environment} has Python {version}, though `python-version` is {request!r}",
            "give `setup` the same `python-version`",
        )
    return version


def programs(environment: Path) -> Path:
    """The folder of an environment's programs."""
    return environment / ("Scripts" if os.name == "nt" else "bin")


def run_uv(arguments: Sequence[str], directory: Path, variables: Mapping[str, str], mend: str) -> None:
    """Runs uv with its output in the log.

    Raises:
        Failure: uv failed.
    """
    say(f"$ uv {shlex.join(arguments)}")
    result = subprocess.run([find_uv(), *arguments], cwd=directory, env=variables, stdout=sys.stderr)
    if result.returncode:
        raise Failure(
            f"`uv {' '.join(arguments[:2])}` failed with exit code {result.returncode}",
            f"see uv's text above; {mend}",
        )


def without_inputs() -> dict[str, str]:
    """The caller's environment without the inputs of this component: the tests have no business with them."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("UV_ACTIONS_") or name in TOLD_BY_THE_WRAPPER
    }


def uv_variables() -> dict[str, str]:
    """The environment for our own calls of uv, and of tools that call it."""
    variables = {name: value for name, value in without_inputs().items() if name not in OWN_CHOICE}
    return {**variables, "UV_ACTIONS_BIN": str(Path(find_uv()).parent)}


def tests_environment(environment: Path, own: Path, plan: Plan) -> dict[str, str]:
    """The environment for the tests: the caller's, with the project's programs first, as in an active environment."""
    variables = without_inputs()
    variables.pop("PYTHONHOME", None)
    variables["VIRTUAL_ENV"] = str(environment)
    variables["PATH"] = os.pathsep.join([str(programs(environment)), variables.get("PATH", "")])
    if plan.coverage:
        variables.setdefault("COVERAGE_FILE", str(own / "coverage.data"))
    return variables


# ---------------------------------------------------------------------------------------------------------------------
# The run and its result


def run(words: Sequence[str], directory: Path, variables: Mapping[str, str]) -> tuple[int, int]:
    """Runs the tests to their end: (their exit code, the signal that we were stopped by, or 0).

    A signal is handed on, and pytest gets the time to write its report. From a terminal Ctrl-C reaches it by itself.
    """
    received: list[int] = []
    say(f"$ {shlex.join(words)}")
    sys.stdout.flush()
    process = subprocess.Popen(words, cwd=directory, env=variables)

    def hand_on(number: int, _frame: object) -> None:
        received.append(number)
        if number != signal.SIGINT or not sys.stdin.isatty():
            process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, hand_on)
    return process.wait(), received[0] if received else 0


def stamp(path: Path | None) -> tuple[int, int, int] | None:
    """What tells a file that was just written from one of an earlier run."""
    if not path or not path.is_file():
        return None
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def report(junit: Path, title: str, directory: Path, own: Path) -> Counts | None:
    """Shows the report, and counts its test cases; None if it can't be read, which `ci_report` has told."""
    result = own / "report.json"
    sys.stdout.flush()
    shown = subprocess.run(
        [
            sys.executable,
            "-E",
            str(Path(__file__).with_name("ci_report.py")),
            f"--title={title}",
            f"--working-directory={directory}",
            f"--json={result}",
            str(junit),
        ],
        env=without_inputs(),
    )
    if shown.returncode:
        return None
    tests = json.loads(result.read_text(encoding="utf-8"))["tests"]
    return Counts(tests["passed"], tests["failed"], tests["skipped"]) if tests else None


def verdict(plan: Plan, code: int, counts: Counts | None, coverage: Path | None) -> int:
    """This tool's exit code.

    Raises:
        Failure: the end is not told by the failed tests themselves.
    """
    name = Path(plan.words[0]).name
    if code < 0:
        raise Failure(
            f"{name} was killed by {signal.Signals(-code).name}",
            "look for a crash in the log; SIGKILL often means that the memory ran out",
            Exit.FINDINGS,
        )
    if plan.is_pytest and code in PYTEST_ENDS and not (code == 2 and counts and counts.failed):
        raise Failure(*PYTEST_ENDS[code])
    if code and counts and counts.failed:
        return Exit.FINDINGS
    if code:
        raise Failure(f"{name} ended with exit code {code}", "look at its output in the log", Exit.FINDINGS)
    if plan.is_pytest and not counts:
        raise Failure(f"pytest wrote no report to {plan.junit}", "remove what turns off its plugin `junitxml`")
    if plan.junit and not counts:
        warn(f"{name} wrote no report to {plan.junit}, so its tests are not counted")
    if counts and not counts.total:
        raise Failure(*PYTEST_ENDS[5])
    if plan.coverage and not coverage:
        raise Failure("no coverage report was written", "look in the log for a warning of pytest-cov")
    return Exit.OK


if __name__ == "__main__":
    run_main(main)
