"""Distributions for tests: small ones, whole and valid, made in a millisecond, and the real ones of a lock."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import packaging.tags
import packaging.utils
import tomllib

# The same bytes each time: an index compares hashes.
MOMENT = (2026, 1, 2, 3, 4, 6)


def wheel(folder: Path, name: str = "app", version: str = "0.1.0", text: str = "") -> Path:
    """Writes `<name>-<version>-py3-none-any.whl` with one module, whose source is `text`."""
    module = name.replace("-", "_").replace(".", "_").lower()
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}.py": text or f'"""The module of {name}."""\n',
        f"{info}/METADATA": _metadata(name, version),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{path},sha256={_record_hash(content)},{len(content.encode())}" for path, content in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name_, content in files.items():
            archive.writestr(zipfile.ZipInfo(name_, MOMENT), content)
    return path


def sdist(folder: Path, name: str = "app", version: str = "0.1.0") -> Path:
    """Writes `<name>-<version>.tar.gz` with its PKG-INFO."""
    root = f"{name.replace('-', '_').replace('.', '_').lower()}-{version}"
    content = _metadata(name, version).encode()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        member = tarfile.TarInfo(f"{root}/PKG-INFO")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{root}.tar.gz"
    path.write_bytes(gzip.compress(raw.getvalue(), mtime=0))
    return path


def fetch_wheels(lock: Path, folder: Path) -> None:
    """Puts into a folder what this machine needs of a lock."""
    here = set(packaging.tags.sys_tags())
    for package in tomllib.loads(lock.read_text(encoding="utf-8"))["package"]:
        for each in package.get("wheels", []):
            name = each["url"].rpartition("/")[2]
            if here & packaging.utils.parse_wheel_filename(name)[3]:
                with urllib.request.urlopen(each["url"]) as response:
                    (folder / name).write_bytes(response.read())
                break


def _metadata(name: str, version: str) -> str:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: A distribution made by a test.\n"


def _record_hash(content: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
