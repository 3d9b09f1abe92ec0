"""More Pythons than the one that runs the tests: those of this machine, and some from a package.

uv's own Pythons come from GitHub, which not every network reaches. The Go module kluctl/go-embed-python holds the same
builds (python-build-standalone), and any Go module proxy has it.
"""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

from engines.caches import caches

MODULE = "github.com/kluctl/go-embed-python"
# The oldest and the newest that the tools run on: version of the module, and Go's hash of its content.
PACKAGED = {
    "3.10": ("v0.0.0-3.10.16-20241219-1", "h1:bfJRrtWlbdrPtwXXXZzA95yj2Pr9AvSbxDEm8YvbaP0="),
    "3.14": ("v0.0.0-3.14.6-20260610-1", "h1:oGUS7++Wm3LgxUfD6AmJgKbKQD2wdQFO9PzyJv6T+E4="),
}

_LOOK = "import ssl, sys, venv; print('%d.%d' % sys.version_info[:2], sys.executable, sep='\\n')"


def pythons() -> dict[str, Path]:
    """Each minor version to be had, `3.10` and later, with the path of its interpreter; all of `PACKAGED` are in it."""
    found = of_this_machine()
    for version in PACKAGED:
        if version not in found:
            found[version] = packaged(version)
    return {version: found[version] for version in sorted(found, key=_minor)}


def of_this_machine() -> dict[str, Path]:
    """The Pythons that are there and work: the one of the tests first, then pyenv's, uv's own and those on PATH."""
    found: dict[str, Path] = {}
    home = Path.home()
    roots = [Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions", home / ".local/share/uv/python"]
    installed = [str(each) for root in roots for each in sorted(root.glob("*3.1?.*/bin/python3"))]
    for candidate in [getattr(sys, "_base_executable", sys.executable), *installed]:
        _add_if_it_works(found, candidate)
    for version in (f"3.{minor}" for minor in range(10, 20)):
        candidate = shutil.which(f"python{version}")
        if candidate and version not in found:
            _add_if_it_works(found, candidate)
    return found


def packaged(version: str) -> Path:
    """The interpreter of a Python out of `PACKAGED`, from the user's cache folder; fetched where it isn't there yet.

    Raises RuntimeError, with Go's words, where it can't be had.
    """
    module_version, content_hash = PACKAGED[version]
    folder = caches() / f"python-{module_version.removeprefix('v0.0.0-')}"
    python = folder / "bin" / f"python{version}"
    with (caches() / f"python-{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not python.exists():
            with tempfile.TemporaryDirectory(dir=caches(), prefix=".python-") as part:
                archive = _download(module_version, content_hash, Path(part))
                _unpack(archive, Path(part) / "python")
                (Path(part) / "python").rename(folder)
    return python


def _add_if_it_works(found: dict[str, Path], candidate: str) -> None:
    done = subprocess.run([candidate, "-IBc", _LOOK], capture_output=True, encoding="utf-8", check=False)
    if done.returncode == 0:
        version, path = done.stdout.splitlines()
        found.setdefault(version, Path(path))


def _minor(version: str) -> int:
    return int(version.removeprefix("3."))


def _download(module_version: str, content_hash: str, part: Path) -> Path:
    """The module's zip file, checked by Go against `content_hash`."""
    go = Path(sysconfig.get_path("scripts")) / "go"
    environment = {
        **os.environ,
        "GOMODCACHE": str(part / "modules"),
        "GOPATH": str(part / "go"),
        "GOFLAGS": "-modcacherw",
        "GOTOOLCHAIN": "local",
        # Its hash stands here, so the database of hashes needs not be in reach.
        "GONOSUMDB": MODULE,
    }
    command = [str(go), "mod", "download", "-json", f"{MODULE}@{module_version}"]
    done = subprocess.run(command, cwd=part, env=environment, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise RuntimeError(f"Go couldn't fetch {MODULE} {module_version}:\n{done.stdout}{done.stderr}")
    told = json.loads(done.stdout)
    if told["Sum"] != content_hash:
        raise RuntimeError(f"{MODULE} {module_version} is {told['Sum']}, but must be {content_hash}")
    return Path(told["Zip"])


def _unpack(archive: Path, folder: Path) -> None:
    """Writes out the files of this machine's platform, as the module itself would: by its list `files.json`."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    with zipfile.ZipFile(archive) as file:
        marker = f"/python/internal/data/{sys.platform}-{machine}/files.json"
        try:
            listing = next(each for each in file.namelist() if each.endswith(marker))
        except StopIteration:
            raise RuntimeError(f"{MODULE} has no Python for {sys.platform}-{machine}") from None
        root = listing.removesuffix("files.json")
        for entry in json.loads(file.read(listing))["files"]:
            path = folder / entry["name"]
            # Go's file modes: the highest bit is a folder.
            if entry["perm"] >> 31:
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if "symlink" in entry:
                path.symlink_to(entry["symlink"])
            elif entry.get("compressed"):
                path.write_bytes(gzip.decompress(file.read(f"{root}{entry['name']}.gz")))
                path.chmod(entry["perm"] & 0o777)
            else:
                path.write_bytes(file.read(f"{root}{entry['name']}"))
                path.chmod(entry["perm"] & 0o777)
