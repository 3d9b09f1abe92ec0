"""The real buildkite-agent, built by Go from its module, once for each version.

One of the agent's modules, `drjosh.dev/zzglob`, isn't served by Go module proxies: `zzglob/` here stands in for it. It
matters to the upload of artifacts and to `if_changed` alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from engines.caches import caches

HERE = Path(__file__).resolve().parent
MODULE = ("go.mod", "go.sum", "zzglob/go.mod", "zzglob/zzglob.go")


def buildkite_agent() -> Path:
    """The path of the agent, in a folder of its own. Raises RuntimeError, with Go's words, where it can't be built."""
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in MODULE)).hexdigest()[:16]
    program = caches() / f"buildkite-agent-{digest}" / "buildkite-agent"
    with (caches() / f"buildkite-agent-{digest}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            with tempfile.TemporaryDirectory(dir=caches(), prefix=".buildkite-agent.") as folder:
                _build(Path(folder))
                # Whole or not at all.
                program.parent.mkdir(exist_ok=True)
                shutil.move(Path(folder) / "buildkite-agent", program)
    return program


def _build(folder: Path) -> None:
    """Builds the agent in `folder`, where all of Go's own caches go too: they are a gigabyte."""
    for name in MODULE:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(HERE / name, folder / name)
    environment = {
        **os.environ,
        "GOPATH": f"{folder}/go",
        "GOMODCACHE": f"{folder}/go/pkg/mod",
        "GOCACHE": f"{folder}/cache",
        "GOFLAGS": "-modcacherw",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    go = str(Path(sysconfig.get_path("scripts"), "go"))
    command = [go, "build", "-trimpath", "-ldflags=-s -w", "-o", "buildkite-agent", "github.com/buildkite/agent/v3"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode:
        raise RuntimeError(f"Go couldn't build the agent:\n{done.stdout}{done.stderr}")
