"""What is wrong with a Buildkite plugin that an agent doesn't show, as a list of sentences.

Agents check neither a `plugin.yml` nor what a step configures, unless they are told to; a second `command` hook of a
step is left out without a word. The rules of `plugin.yml` are those of Buildkite's own linter and documentation:
https://github.com/buildkite-plugins/buildkite-plugin-linter, https://buildkite.com/docs/plugins/writing
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

METADATA = {"name": str, "description": str, "author": str, "requirements": list, "configuration": dict}
TYPES = {"string", "boolean", "array", "integer"}
# Those that work several times in a step, beside a command; the others are the step's command.
BESIDE_A_COMMAND = {"uv-setup", "uv-cache", "uv-lock-check"}
HOOKS = {"environment", "pre-command", "command", "post-command", "pre-exit"}
SECRET = re.compile(r"\b(password|token|secret|key-id)$")
# How a step names a plugin of ours: a whole version of the repository, or a copy in the user's own one.
OURS = re.compile(r"(?:\S*/)?(uv-[a-z-]+)(?:#(.*))?")
PINNED = re.compile(r"https://github\.com/org/uv-actions\.git/buildkite-plugins/uv-[a-z-]+#v1\.2\.3")
VENDORED = re.compile(r"\./\.buildkite/plugins/uv-[a-z-]+")


def find(folder: Path) -> list[str]:
    """What is wrong with a plugin."""
    plugin: dict[str, Any] = yaml.safe_load((folder / "plugin.yml").read_text(encoding="utf-8"))
    findings = [finding for check in (metadata, options) for finding in check(plugin, folder.name)]
    return [*findings, *hooks(folder)]


def metadata(plugin: dict[str, Any], name: str) -> Iterator[str]:
    yield from (f"plugin.yml has `{key}`, which Buildkite doesn't know" for key in sorted(set(plugin) - set(METADATA)))
    for key, kind in METADATA.items():
        if not isinstance(plugin.get(key), kind) or not plugin[key]:
            yield f"plugin.yml: `{key}` must be a {kind.__name__} that isn't empty"
    if plugin.get("name") != name:
        yield f"plugin.yml: the name is `{plugin.get('name')}`, the folder's is `{name}`"
    if not all(isinstance(each, str) for each in plugin.get("requirements") or []):
        yield "plugin.yml: `requirements` are names of commands"


def options(plugin: dict[str, Any], _name: str) -> Iterator[str]:
    schema = plugin.get("configuration") or {}
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        yield f"`configuration` is no JSON schema: {error.message}"
        return
    if schema.get("additionalProperties") is not False:
        yield "`configuration` lets unknown options pass: say `additionalProperties: false`"
    if stray := set(schema) - {"type", "properties", "required", "additionalProperties"}:
        yield f"`configuration` has {', '.join(sorted(stray))}, which the plugin's own check doesn't know"
    properties: dict[str, dict[str, Any]] = schema.get("properties") or {}
    yield from (
        f"option `{name}` is required, but unknown" for name in schema.get("required", []) if name not in properties
    )
    for name, option in properties.items():
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
            yield f"option `{name}`: the agent makes a variable's name of it, so only a-z, 0-9 and - are safe"
        if SECRET.search(name):
            yield f"option `{name}` would be a secret in the uploaded pipeline: take the name of a variable"
        if option.get("type") not in TYPES and not option.get("enum"):
            yield f"option `{name}` has no type that the plugin's own check knows"
        if option.get("type") == "array" and option.get("items") != {"type": "string"}:
            yield f"option `{name}` is a list: say of what, `items: {{type: string}}`"
        text = option.get("description", "")
        if not re.search(r"\bType: \w+", text) or not re.search(r"\bDefault: |\bRequired\.", text):
            yield f"option `{name}`: the description doesn't state type and default"
        if ("default" in option) == (name in schema.get("required", [])):
            yield f"option `{name}` must either have a default or be required"
        elif "default" in option and not valid(option["default"], option):
            yield f"option `{name}` has a default that it doesn't allow"


def valid(value: Any, schema: dict[str, Any]) -> bool:
    return Draft202012Validator(schema).is_valid(value)


def hooks(folder: Path) -> Iterator[str]:
    found = {path.name: path for path in sorted((folder / "hooks").glob("*"))}
    yield from (f"hooks/{name}: agents don't run it" for name in found.keys() - HOOKS)
    if ("command" in found) == (folder.name in BESIDE_A_COMMAND):
        yield "setup, cache and lock-check work beside a command and have no such hook; the others are the command"
    if not found:
        yield "there is no hook"
    for name, path in found.items():
        text = path.read_text(encoding="utf-8")
        if not text.startswith("#!/bin/bash\n"):
            yield f"hooks/{name} doesn't begin with `#!/bin/bash`"
        if not re.search(r"\A(?:#.*\n|\n)*set -euo pipefail\n", text):
            yield f"hooks/{name} doesn't begin with `set -euo pipefail`"
        if not os.access(path, os.X_OK):
            yield f"hooks/{name} isn't executable"
        yield from shell(f"hooks/{name}", text)


def shell(name: str, text: str) -> Iterator[str]:
    """What shellcheck doesn't mind in bash of ours."""
    for number, line in enumerate(text.splitlines(), 1):
        code = line.partition(" #")[0]
        if re.search(r"(?:^|[\s;&|(])(?:eval|jq|source)\s", code) and not line.lstrip().startswith("#"):
            yield f"{name}:{number}: no `eval`; agents may lack jq; `.` in place of `source`"
        if re.search(r"\bcurl\b[^|]*\|\s*(?:ba)?sh\b", code):
            yield f"{name}:{number}: runs what it downloads"


def examples(page: str, schemas: dict[str, dict[str, Any]]) -> list[str]:
    """What is wrong with the plugins in the YAML examples of a page."""
    findings = []
    for block in re.findall(r"^```ya?ml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        for name, configuration in plugins_in(yaml.safe_load(block)):
            named = OURS.fullmatch(name)
            if not named:
                continue
            if not PINNED.fullmatch(name) and not VENDORED.fullmatch(name):
                findings.append(f"`{name}`: pin a whole version, {'#v1.2.3' if named[2] else 'or copy the plugin'}")
            if named[1] not in schemas:
                findings.append(f"`{name}`: there is no such plugin")
                continue
            for error in Draft202012Validator(schemas[named[1]]).iter_errors(configuration or {}):
                # What a matrix puts there is known to Buildkite alone.
                if "{{matrix" not in str(error.instance):
                    findings.append(f"`{named[1]}`: {error.message}")
    return findings


def plugins_in(value: Any) -> Iterator[tuple[str, Any]]:
    """The plugins of all steps in a document, with their configurations."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "plugins" and isinstance(each, list):
                for entry in each:
                    yield from (entry.items() if isinstance(entry, dict) else [(entry, None)])
            else:
                yield from plugins_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from plugins_in(each)
