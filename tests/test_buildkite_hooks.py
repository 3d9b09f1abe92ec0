"""What neither a run nor the guard shows of the hooks: that none of a plugin's options is forgotten, and their ends."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "buildkite-plugins"
HOOKS = sorted(FOLDER.glob("*/hooks/*"))


def as_name(path: Path) -> str:
    return path.relative_to(FOLDER).as_posix()


@pytest.mark.parametrize("plugin", sorted(path.parent for path in FOLDER.glob("*/plugin.yml")), ids=as_name)
def test_a_hook_reads_every_option(plugin: Path) -> None:
    texts = "".join(path.read_text() for path in [*plugin.glob("hooks/*"), *FOLDER.glob("lib/*.bash")])
    for option in json.loads((plugin / "options.json").read_text()):
        variable = option.replace("-", "_")
        # The installer's are read before a tool can check them.
        assert re.search(rf"\$\{{?option_{variable}\b", texts) or f"{variable.upper()})" in texts, option


@pytest.mark.parametrize("hook", HOOKS, ids=as_name)
def test_a_hook_sources_its_own_library_and_hands_on_what_it_exports(hook: Path) -> None:
    text = hook.read_text(encoding="utf-8")
    assert 'plugin=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)\n' in text
    assert '. "$plugin/lib/plugin.bash"\n' in text
    # An agent sources hooks: one that exits well, or becomes another program, hands nothing on.
    assert not re.search(r"\bexec\b|\bexit 0\b|\bexit$", text, re.MULTILINE)
