#!/usr/bin/env -S uv run --no-config --locked --script
# /// script
# requires-python = ">=3.10"
# dependencies = ["pyyaml>=6.0.2"]
# ///
"""Writes the reference tables from what the parts say of themselves.

Between `<!-- reference -->` and `<!-- /reference -->` it puts, into `actions/<component>/README.md`, the header,
inputs and outputs of its action.yml, and into `scripts/README.md` the `--help` of each tool.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml
from _common import Exit, Failure, Parser, run_main, say, write_atomic

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- reference -->", "<!-- /reference -->"

# For the makers of the collection, so not in its reference.
MAKERS_TOOLS = ("release_tree", "update_reference", "update_uv_versions")


def reference_of_action(path: Path) -> str:
    """The header of an action.yml as text, and its inputs and outputs as tables."""
    text = path.read_text(encoding="utf-8")
    header = re.match(r"(?:#.*\n)+", text)
    lines = [line.removeprefix("#").removeprefix(" ") for line in header.group().splitlines()] if header else []
    # The first paragraph says what the README says above.
    notes = "\n".join(lines).partition("\n\n")[2].replace("\n  ", " ")
    action: dict[str, Any] = yaml.safe_load(text)
    parts = ["\n".join(f"- {note}" for note in notes.splitlines() if note)]
    for name in ("inputs", "outputs"):
        rows = [f"| `{key}` | {cell(each['description'])} |" for key, each in action.get(name, {}).items()]
        parts.append("\n".join([f"### {name.capitalize()}", "", f"| {name[:-1]} | |", "| --- | --- |", *rows]))
    return "\n\n".join(parts)


def cell(text: str) -> str:
    """Text for one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def reference_of_tools(folder: Path) -> str:
    """The `--help` of each tool, in the order of their names."""
    environment = {**os.environ, "COLUMNS": "110", "NO_COLOR": "1"}
    parts = []
    for tool in sorted(folder.glob("[!_]*.py")):
        if tool.stem in MAKERS_TOOLS:
            continue
        result = subprocess.run(
            ["sh", folder / "run", tool.stem, "--help"], env=environment, capture_output=True, encoding="utf-8"
        )
        if result.returncode:
            raise Failure(f"{tool.stem} --help failed: {result.stderr.strip()}", f"sh scripts/run {tool.stem} --help")
        parts.append(f"### {tool.stem}\n\n```text\n{result.stdout.rstrip()}\n```")
    return "\n\n".join(parts)


def with_reference(text: str, reference: str, path: Path) -> str:
    """The text with the reference between its marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise Failure(f"{path} has no place for the reference", f"add the two lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{reference}\n\n{END}{after}"


def main() -> int:
    parser = Parser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a reference is stale")
    options = parser.parse_args()
    references = {
        action.with_name("README.md"): reference_of_action(action)
        for action in sorted((ROOT / "actions").glob("*/action.yml"))
    }
    references[ROOT / "scripts" / "README.md"] = reference_of_tools(ROOT / "scripts")
    stale = 0
    for path, reference in references.items():
        old = path.read_text(encoding="utf-8")
        new = with_reference(old, reference, path)
        if new == old:
            continue
        stale += 1
        say(f"{'stale' if options.check else 'written'}: {path.relative_to(ROOT)}")
        if not options.check:
            write_atomic(path, new)
    if stale and options.check:
        say("To mend it: sh scripts/run update_reference, and commit what it writes")
        return Exit.FINDINGS
    return Exit.OK


if __name__ == "__main__":
    run_main(main)
