#!/usr/bin/env -S uv run --no-config --locked --script
# /// script
# requires-python = ">=3.10"
# dependencies = ["check-wheel-contents>=0.6.3,<0.7", "twine>=6.2,<8"]
#
# [tool.uv]
# # Twine logs in to indexes with it; nothing is uploaded here, and it would bring compiled cryptography along.
# override-dependencies = ["keyring ; sys_platform == 'never'"]
# ///
"""Checks built distributions: will an index take and show their metadata, and does a wheel hold what it should.

The first by `twine check`, the second by `check-wheel-contents`, which reads `[tool.check-wheel-contents]` of the
project. What makes a package wrong for those who install it is an error; what may be meant, like a missing README, is
a warning (`--fail-on warning` is as strict as `twine check --strict`).
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from _common import Exit, Failure, Finding, Items, Parser, as_json, as_sarif, exit_for, run_main

RULES = {
    "metadata": "The metadata is what an index takes.",
    "description": "The description can be shown as the page of the package.",
    "wheel": "The wheel is a valid archive with a valid name.",
}

# The checks of `check-wheel-contents` that may fail on purpose: two files are alike. All others are errors.
MAY_BE_MEANT = ("W002",)

# Packages that claim a name which others claim too: `tests`, `src`, `app`.
COMMON_NAME = "W005"

WHEEL_CHECKS = "https://github.com/jwodder/check-wheel-contents#checks"

# The line of a pyproject.toml to look at: the first of these that is there. What isn't here is the build backend's.
PLACES = {"metadata": (r"\[project\]",), "description": (r"readme\b", r"\[project\]")}
BACKEND = (r"\[build-system\]",)


class Problem(NamedTuple):
    """What is wrong with a distribution; `level` is `error` or `warning`."""

    rule: str
    level: str
    message: str
    fix: str


def main() -> int:
    parser = Parser(prog="check_dist", description=__doc__)
    parser.add_folder("where relative paths start (default: .)")
    parser.add_argument("--dist", default="dist", metavar="DIR", help="the folder of the files (default: dist)")
    parser.add_argument("--files", action=Items, metavar="NAME", help="files in it (default: all)")
    parser.add_argument(
        "--projects", action=Items, metavar="DIR", help="the project of each of the files, in their order"
    )
    parser.add_argument("--format", default="text", choices=["text", "json", "sarif"])
    parser.add_argument("--fail-on", default="error", choices=["error", "warning", "never"], help="default: error")
    options = parser.parse_args()

    base = options.working_directory.resolve()
    dist = base / options.dist
    if not dist.is_dir():
        raise Failure(f"{dist} is no folder, so there is nothing to check", "build first, or give `dist`")
    names = options.files or sorted(path.name for path in dist.iterdir() if path.name.endswith((".whl", ".tar.gz")))
    if not names:
        raise Failure(f"there is no distribution in {dist}", "build first, or give `dist`")
    if options.projects and len(options.projects) != len(names):
        raise Failure(
            f"`files` has {len(names)} lines and `projects` {len(options.projects)}", "give a project for each file"
        )
    projects = [(base / folder).resolve() for folder in options.projects] or [base] * len(names)

    findings = check([dist / name for name in names], projects)
    code = exit_for(findings, options.fail_on)
    if options.format == "sarif":
        print(as_sarif(findings, {**RULES, **wheel_rules()}))
    elif options.format == "json":
        print(as_json(findings, ok=code is Exit.OK, files=names))
    else:
        for finding in findings:
            print(f"{finding.level}: {finding.message} [{finding.rule}]")
            print(f"  To mend it: {finding.fix}" if finding.fix else f"  See {finding.url}")
        print(f"distributions checked: {len(names)}, findings: {len(findings)}")
    return code


def check(files: list[Path], projects: list[Path]) -> list[Finding]:
    """What is wrong, each on the line of the project's pyproject.toml that is the place to mend it.

    A source distribution and its wheel have the same metadata: what is wrong with both is one finding.
    """
    found: dict[tuple[Path, Problem], list[str]] = {}
    for file, project in zip(files, projects, strict=True):
        if not file.is_file():
            raise Failure(f"{file} isn't there", "give names of files in `dist`")
        for problem in [*metadata_problems(file), *wheel_problems(file, project)]:
            found.setdefault((project, problem), []).append(file.name)
    return [as_finding(problem, names, project) for (project, problem), names in found.items()]


def as_finding(problem: Problem, names: list[str], project: Path) -> Finding:
    """The problem of these files as a finding in their project."""
    message = f"{', '.join(names)}: {problem.message}"
    url = "" if problem.rule in RULES else WHEEL_CHECKS
    settings = project / "pyproject.toml"
    if not settings.is_file():
        return Finding(problem.rule, problem.level, message, fix=problem.fix, url=url)
    lines = settings.read_text(encoding="utf-8", errors="replace").splitlines()
    places = PLACES.get(problem.rule, BACKEND)
    line = next((number for place in places for number, text in enumerate(lines, 1) if re.match(place, text)), 1)
    file = settings.relative_to(repository(project)).as_posix()
    return Finding(problem.rule, problem.level, message, file, line, fix=problem.fix, url=url)


def repository(project: Path) -> Path:
    """The root of the repository around a project, from which findings name files; without one the project itself."""
    return next((folder for folder in (project, *project.parents) if (folder / ".git").exists()), project)


def metadata_problems(path: Path) -> Iterator[Problem]:
    """What `twine check --strict` says about a file."""
    from twine.commands import check as twine
    from twine.exceptions import TwineException

    said: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = said.append  # ty: ignore[invalid-assignment]
    logger = logging.getLogger("twine")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            twine.check([str(path)], strict=True)
    except TwineException as error:
        yield Problem(
            "metadata", "error", str(error).strip(), "correct [project], or what the build backend makes of it"
        )
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        yield Problem("metadata", "error", f"it can't be read: {error}", "build it again")
    finally:
        logger.removeHandler(handler)
    errors = [record.getMessage().strip() for record in said if record.levelno >= logging.ERROR]
    remarks = [record.getMessage() for record in said if record.levelno < logging.ERROR]
    for text in errors:
        yield Problem(
            "description", "error", text, "correct the README; its ending says how it is read: .md, .rst or .txt"
        )
    if any(remark.startswith("`long_description` missing") for remark in remarks):
        yield Problem(
            "description",
            "warning",
            "it has no description",
            'write a README and set `readme = "README.md"` in [project]',
        )
    elif remarks:
        yield Problem(
            "description", "warning", "its description has no type", "name a .md or .rst file as `readme` in [project]"
        )


def wheel_problems(path: Path, project: Path) -> Iterator[Problem]:
    """What `check-wheel-contents` says about a wheel."""
    if path.suffix != ".whl":
        return
    from check_wheel_contents.checker import WheelChecker
    from check_wheel_contents.contents import WheelContents
    from check_wheel_contents.errors import UserInputError, WheelValidationError
    from wheel_filename import InvalidFilenameError

    checker = WheelChecker()
    before = Path.cwd()
    try:
        # It looks for its settings from the current folder upwards.
        os.chdir(project)
        checker.configure_options(configpath=None)
    except UserInputError as error:
        raise Failure(f"[tool.check-wheel-contents] is wrong: {error}", "correct it") from None
    finally:
        os.chdir(before)
    try:
        failed = checker.check_contents(WheelContents.from_wheel(path))
    except (InvalidFilenameError, WheelValidationError, zipfile.BadZipFile) as error:
        yield Problem("wheel", "error", f"it is no valid wheel: {error}", "build it again, or mend the build backend")
        return
    own = path.name.partition("-")[0].lower()
    for each in failed:
        # A package `app` in a distribution `app` is no slip.
        entries = [entry for entry in each.args if each.check.name != COMMON_NAME or entry.strip("/").lower() != own]
        if entries or not each.args:
            message = f"{each.check.value}{': ' if entries else ''}{', '.join(entries)}"
            level = "warning" if each.check.name in MAY_BE_MEANT else "error"
            fix = (
                f"see {WHEEL_CHECKS}; if it is meant, add to pyproject.toml: "
                f'[tool.check-wheel-contents] with ignore = ["{each.check.name}"]'
            )
            yield Problem(each.check.name, level, message, fix)


def wheel_rules() -> dict[str, str]:
    """The checks of `check-wheel-contents`, each with its sentence."""
    from check_wheel_contents.checks import Check

    return {each.name: each.value for each in Check}


if __name__ == "__main__":
    run_main(main)
