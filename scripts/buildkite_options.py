#!/usr/bin/env -S uv run --no-config --locked --script
# /// script
# requires-python = ">=3.10"
# dependencies = ["tomli>=2; python_version < '3.11'"]
# ///
"""Checks the options of a Buildkite plugin, since agents don't by default, and writes them as lines of sh.

It reads them from BUILDKITE_PLUGIN_CONFIGURATION, which holds them as they are; names that are made of them for the
environment don't show an option that is misspelt, and lists come in pieces. What a plugin knows stands in its
`options.json`. The lines set `option_<name, - as _>`, a list one item a line, and what further tools of the same hook
are run by: `tool_python` and `uv_folder`.

The requirements are those of the tools that run by the same Python, which then needs no environment of its own.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shlex
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _common import Exit, Failure, Parser, find_uv, run_main, write_private

# Plugins that run the step's command themselves. The agent takes the first one's hook and leaves out all others,
# without an error; one that isn't in this list shows when the command is over.
COMMAND_OWNERS = ("uv-test", "uv-build", "uv-publish", "docker", "docker-compose")

ARTICLES = {"string": "text", "boolean": "`true` or `false`", "array": "a list"}


def main() -> int:
    options = parse()
    known = json.loads(options.options.read_text(encoding="utf-8"))
    if options.owns_command:
        check_command(options.plugin, os.environ.get("BUILDKITE_COMMAND", ""), os.environ.get("BUILDKITE_PLUGINS", ""))
    values = checked(options.plugin, given(os.environ.get("BUILDKITE_PLUGIN_CONFIGURATION", "")), known)
    lines = {f"option_{name.replace('-', '_')}": text for name, text in values.items()}
    lines |= {"tool_python": sys.executable, "uv_folder": os.path.dirname(find_uv())}
    write_private(options.output, "".join(f"{name}={shlex.quote(text)}\n" for name, text in lines.items()))
    return Exit.OK


def parse() -> Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("--plugin", required=True, metavar="NAME", help="the plugin's name")
    parser.add_argument("--options", required=True, type=Path, metavar="FILE", help="its options.json")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="where the lines of sh go")
    parser.add_argument("--owns-command", action="store_true", help="it runs the step's command itself")
    return parser.parse_args()


def given(configuration: str) -> dict[str, Any]:
    """The plugin's options as the pipeline has them; one without a value counts as not given."""
    document = json.loads(configuration or "null") or {}
    return {name: value for name, value in document.items() if value is not None}


def checked(plugin: str, values: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Every option's text, with the defaults of those that aren't given.

    Raises:
        Failure: an option is unknown, or its value is of another type or not allowed.
    """
    for name in values:
        if name not in known:
            raise unknown(plugin, name, known)
    return {name: as_text(name, values.get(name, option.get("default", "")), option) for name, option in known.items()}


def unknown(plugin: str, name: str, known: Mapping[str, object]) -> Failure:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return Failure(f"{plugin} has no option `{name}`; the nearest is `{near[0]}`", f"write `{near[0]}`")
    return Failure(f"{plugin} has no option `{name}`", f"take it out; the options are: {', '.join(known)}")


def as_text(name: str, value: Any, option: Mapping[str, Any]) -> str:
    """The text of a value, after it was checked."""
    allowed = [word(each) for each in option.get("enum", ())]
    if allowed:
        if not isinstance(value, (str, bool)) or word(value) not in allowed:
            choices = ", ".join(allowed)
            raise Failure(f"`{name}` is {described(value)}, which is not one of: {choices}", f"write one of: {choices}")
        return word(value)
    kind = option["type"]
    if kind == "array":
        if not isinstance(value, list):
            raise wrong_type(name, value, kind, f"write it as a list:\n    {name}:\n      - {word(value)}")
        return "\n".join(item_text(name, item) for item in value)
    if kind == "boolean":
        if not isinstance(value, bool):
            raise wrong_type(name, value, kind, f"write `{name}: true` or `{name}: false`, without quotes")
        return word(value)
    if not isinstance(value, str):
        raise wrong_type(name, value, kind, in_quotes(name, value))
    return value


def item_text(name: str, item: Any) -> str:
    """An item of a list, which is one line."""
    if not isinstance(item, str):
        raise Failure(f"`{name}` holds {described(item)}, but its items must be text", f'write it in quotes: "{item}"')
    if item != item.strip() or "\n" in item or "\r" in item or not item:
        raise Failure(
            f"`{name}` holds {item!r}, but an item is one line, without blanks around it",
            f"write each item of `{name}` on a line of its own",
        )
    return item


def wrong_type(name: str, value: Any, kind: str, mend: str) -> Failure:
    return Failure(f"`{name}` is {described(value)}, but must be {ARTICLES[kind]}", mend)


def in_quotes(name: str, value: Any) -> str:
    """How a value is written that YAML took for a number: 3.10 has become 3.1, and nobody can tell."""
    if isinstance(value, (bool, list, dict)):
        return f"write `{name}` as text"
    text = f"{value}0" if name == "python-version" and str(value) == "3.1" else str(value)
    return f'write it in quotes, since YAML takes 3.10 for 3.1 without them: `{name}: "{text}"`'


def described(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{word(value)}`"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    return "a list" if isinstance(value, list) else "a table" if isinstance(value, dict) else f"the text {value!r}"


def word(value: object) -> str:
    """How YAML writes a value."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_command(plugin: str, command: str, plugins: str) -> None:
    """Sees to it that this plugin is the only one that runs something in this step.

    Raises:
        Failure: something else would be left out in silence, or this plugin would.
    """
    if command.strip():
        raise Failure(
            f"the step has a `command`, which would not run, since {plugin} runs something in its place",
            "take `command` out, or give it a step of its own",
        )
    owners = [name for name in names_of(plugins) if name in COMMAND_OWNERS]
    if len(owners) > 1:
        raise Failure(
            f"of the plugins {', '.join(owners)} the agent would run the first one alone",
            "give each a step of its own; in a container of the docker plugin, use uv-setup and a `command`",
        )


def names_of(plugins: str) -> Sequence[str]:
    """The names of a step's plugins, as the agent makes them of their places."""
    names = []
    for entry in json.loads(plugins or "[]"):
        place = entry if isinstance(entry, str) else next(iter(entry), "")
        last = place.partition("#")[0].rstrip("/").rpartition("/")[2]
        names.append(re.sub(r"(-buildkite-plugin)?(\.git)?$", "", last.lower()))
    return names


if __name__ == "__main__":
    run_main(main)
