#!/usr/bin/env -S uv run --no-config --locked --script
# /// script
# requires-python = ">=3.10"
# dependencies = ["pyyaml>=6.0.2"]
# ///
"""Writes the reference tables from what the parts say of themselves.

Between `<!-- reference -->` and `<!-- /reference -->` of a README.md it puts

    actions/<component>/            the header, inputs and outputs of its action.yml
    gitlab-templates/               the header and `spec: inputs` of each template
    jenkins-shared-lib/             the text of each step of `vars/`, with its parameters
    buildkite-plugins/<plugin>/     the header and `configuration` of its plugin.yml
    scripts/                        the `--help` of each tool

and beside each plugin.yml it writes `options.json`: an agent checks no configuration, and the plugin, which does, has
no YAML parser. It holds `{"<option>": {"type": …, "enum": […], "default": …, "required": true}, …}`, what of it
there is.
"""

from __future__ import annotations

import html
import json
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
    action: dict[str, Any] = yaml.safe_load(text)
    tables = [table("###", name, action[name]) for name in ("inputs", "outputs") if action.get(name)]
    return "\n\n".join([notes(text), *tables])


def reference_of_templates(folder: Path) -> str:
    """The header and inputs of each template."""
    parts = []
    for path in templates(folder):
        text = path.read_text(encoding="utf-8")
        # Only the first document: the second one is YAML with GitLab's own tags.
        spec = yaml.safe_load(re.split(r"^---$", text, maxsplit=1, flags=re.MULTILINE)[0])["spec"]
        parts += [f"### {path.stem}", notes(text), table("####", "inputs", spec["inputs"])]
    return "\n\n".join(part for part in parts if part)


def templates(folder: Path) -> list[Path]:
    """GitLab's templates, in the order of their names."""
    return sorted(folder.glob("*.yml"))


# A parameter in the text that Jenkins shows for a step: a list item that begins with its name.
PARAMETER = re.compile(r"<li><code>(\w+)</code>: (.*?)</li>", re.DOTALL)


def reference_of_steps(folder: Path) -> str:
    """What Jenkins shows for each step, which is HTML, with the parameters as a table."""
    parts = []
    for path in sorted(folder.glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        parameters = {name: {"description": markdown(said)} for name, said in PARAMETER.findall(text)}
        said = [markdown(paragraph) for paragraph in re.findall(r"<p>(.*?)</p>", text, re.DOTALL)]
        parts += [f"### {path.stem}", *said]
        if parameters:
            parts.append(table("####", "parameters", parameters))
    return "\n\n".join(parts)


def markdown(text: str) -> str:
    """HTML of ours, where only `<code>` is more than text, as Markdown."""
    return html.unescape(re.sub(r"</?code>", "`", text))


def reference_of_plugin(path: Path) -> str:
    """The header and options of a plugin.yml."""
    text = path.read_text(encoding="utf-8")
    return "\n\n".join(part for part in (notes(text), table("###", "options", options_of(path))) if part)


def options_of(path: Path) -> dict[str, dict[str, Any]]:
    """The options of a plugin.yml, as JSON Schema describes each."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))["configuration"]["properties"]


def options_for_the_plugin(path: Path) -> str:
    """What the plugin itself needs to know of its options, as JSON."""
    required = yaml.safe_load(path.read_text(encoding="utf-8"))["configuration"].get("required", [])
    known = {
        name: {key: option[key] for key in ("type", "enum", "default") if key in option}
        | ({"required": True} if name in required else {})
        for name, option in options_of(path).items()
    }
    return json.dumps(known, indent=2) + "\n"


def notes(text: str) -> str:
    """The comment at the top of a file as a list, without its first paragraph: the README says above what that says."""
    header = re.match(r"(?:#.*\n)+", text)
    lines = [line.removeprefix("#").removeprefix(" ") for line in header.group().splitlines()] if header else []
    said = "\n".join(lines).partition("\n\n")[2].replace("\n  ", " ")
    return "\n".join(f"- {note}" for note in said.splitlines() if note)


def table(level: str, name: str, rows: dict[str, dict[str, Any]]) -> str:
    """A heading, and a table of names with their descriptions."""
    lines = [f"| `{key}` | {cell(each['description'])} |" for key, each in rows.items()]
    return "\n".join([f"{level} {name.capitalize()}", "", f"| {name[:-1]} | |", "| --- | --- |", *lines])


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


def contents() -> dict[Path, str]:
    """What each file has to hold. A part that isn't there has no file; nor has one without a README a reference."""
    references = {path.parent: reference_of_action(path) for path in sorted(ROOT.glob("actions/*/action.yml"))}
    gitlab, jenkins = ROOT / "gitlab-templates", ROOT / "jenkins-shared-lib"
    references[gitlab] = reference_of_templates(gitlab)
    references[jenkins] = reference_of_steps(jenkins / "vars")
    plugins = sorted(ROOT.glob("buildkite-plugins/*/plugin.yml"))
    references |= {path.parent: reference_of_plugin(path) for path in plugins}
    references[ROOT / "scripts"] = reference_of_tools(ROOT / "scripts")
    pages = {folder / "README.md": reference for folder, reference in references.items() if reference}
    written = {
        path: with_reference(path.read_text(encoding="utf-8"), reference, path)
        for path, reference in pages.items()
        if path.exists()
    }
    return written | {path.with_name("options.json"): options_for_the_plugin(path) for path in plugins}


def main() -> int:
    parser = Parser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a reference is stale")
    options = parser.parse_args()
    stale = 0
    for path, new in contents().items():
        if path.exists() and path.read_text(encoding="utf-8") == new:
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
