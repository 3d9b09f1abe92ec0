"""The folder for what is slow to get, kept between runs and keyed by version inside."""

from __future__ import annotations

import os
from pathlib import Path


def caches() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "uv-actions-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
