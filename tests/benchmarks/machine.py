"""What both benchmarks stand on: the release tree, its uv, and a locked copy of a project."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from engines.github import NETWORK_VARIABLES, SYSTEM_PATH

ROOT = Path(__file__).resolve().parents[2]


def build_release(folder: Path) -> Path:
    """The release tree of the working copy, which is what users run."""
    subprocess.run([sys.executable, ROOT / "scripts" / "release_tree.py", "build", folder], check=True)
    return folder


def environment(tool_cache: Path, home: Path) -> dict[str, str]:
    """Nothing of the caller's but what reaches the network."""
    network = {name: os.environ[name] for name in NETWORK_VARIABLES if name in os.environ}
    home.mkdir(parents=True, exist_ok=True)
    return {**network, "PATH": SYSTEM_PATH, "HOME": str(home), "RUNNER_TOOL_CACHE": str(tool_cache)}


def install_uv(release: Path, env: dict[str, str]) -> Path:
    """The folder of the release's default uv, in the tool folder that `env` names."""
    command = ["sh", str(release / "scripts" / "install_uv.sh"), "--project", str(release)]
    return Path(subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())


def locked_copy(project: Path, folder: Path, uv: Path) -> Path:
    """A copy of the project with a lock of today, as a git repository with one commit."""
    shutil.copytree(project, folder, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", "dist"))
    # The original may be write-protected.
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    identity = ["-c", "user.name=ci", "-c", "user.email=ci@example.org", "-c", "commit.gpgsign=false"]
    for command in (
        [str(uv / "uv"), "lock", "--quiet"],
        ["git", "init", "-q", "-b", "main"],
        ["git", "add", "-A"],
        ["git", *identity, "commit", "-q", "-m", "The project"],
    ):
        subprocess.run(command, cwd=folder, check=True)
    return folder


def describe() -> str:
    """The machine, and how busy it is now."""
    return f"{platform.platform()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
