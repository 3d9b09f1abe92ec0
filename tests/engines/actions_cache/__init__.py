"""The actions `actions/cache/restore` and `/save` for the GitHub engine: the real ones, or a stand-in.

CI can't fetch the real ones from GitHub, so the stand-in here is what tests use by default: little code around the real
library, `@actions/cache`. Where `UV_ACTIONS_TEST_ACTIONS` names a folder with a clone of the real one in `cache/`, the
same tests run on that.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from engines.node import node_modules, put

HERE = Path(__file__).resolve().parent
STAND_IN = ("package.json", "restore.js", "save.js", "restore", "save")


def prepare() -> None:
    """Gets what `action` needs from elsewhere."""
    if not os.environ.get("UV_ACTIONS_TEST_ACTIONS"):
        node_modules(HERE)


def action(folder: Path) -> Path:
    """The folder of the action `actions/cache`; a stand-in is put together in `folder`, once for all workers."""
    if clones := os.environ.get("UV_ACTIONS_TEST_ACTIONS"):
        return Path(clones).resolve() / "cache"
    stand_in = folder / "actions-cache"
    if not stand_in.exists():
        modules = node_modules(HERE)
        part = Path(tempfile.mkdtemp(dir=folder))
        for name in STAND_IN:
            copy = shutil.copytree if (HERE / name).is_dir() else shutil.copy
            copy(HERE / name, part / name)
        # A link, since act copies the whole action for each use of it.
        (part / "node_modules").symlink_to(modules)
        put(part, stand_in)
    return stand_in
