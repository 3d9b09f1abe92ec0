"""Linters and shells by their names, found in the tests' environment first."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def linter(name: str | Path) -> str:
    """The path of a program."""
    program = shutil.which(name, path=os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]]))
    if not program:
        pytest.fail(f"{name} is not on this machine; `sh tests/run` installs what the tests need")
    return program


def check(*command: str | Path, cwd: Path = ROOT) -> None:
    """Runs a linter; what it finds is the failure."""
    done = subprocess.run(
        [linter(command[0]), *command[1:]], check=False, cwd=cwd, capture_output=True, text=True, errors="replace"
    )
    assert done.returncode == 0, done.stdout + done.stderr
