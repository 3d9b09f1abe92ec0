"""What each platform's parts say of a component's options and outputs, under GitHub's names and in GitHub's form.

Names are in kebab-case; a default is text, a list's one item a line. A part that isn't there says nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from engines.gitlab_inputs import specification

COMPONENTS = ("setup", "cache", "lock-check", "test", "build", "publish")


@dataclass(frozen=True)
class Interface:
    """A component's options with their defaults, and its outputs."""

    options: dict[str, str]
    outputs: frozenset[str]


def text_of(value: Any) -> str:
    """A default as GitHub writes it."""
    if isinstance(value, list):
        return "\n".join(map(text_of, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def github(root: Path, component: str) -> Interface | None:
    path = root / "actions" / component / "action.yml"
    if not path.exists():
        return None
    action: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    options = {name: text_of(each.get("default")) for name, each in (action.get("inputs") or {}).items()}
    return Interface(options, frozenset(action.get("outputs") or {}))


def gitlab(root: Path, component: str) -> Interface | None:
    """The outputs are what the script and its pieces hand to `uv_actions_output`, or keep in a file."""
    path = root / "gitlab-templates" / f"{component}.yml"
    if not path.exists():
        return None
    text = path.read_text(encoding="utf-8")
    pieces = [path.with_name(name).read_text(encoding="utf-8") for name in re.findall(r"include (_\S+)", text)]
    told = re.findall(rf"uv_actions_output {variable(component)}_([A-Z0-9_]+) ", "\n".join([text, *pieces]))
    files = re.findall(r"\"\$uv_out_(\w+)\" > \.uv-actions/\w+", text)
    options = {name: text_of(each.get("default")) for name, each in specification(text).items()}
    return Interface(options, frozenset(name.lower().replace("_", "-") for name in (*told, *files)))


def variable(component: str) -> str:
    return component.upper().replace("-", "_")


def jenkins(root: Path, component: str) -> Interface | None:
    """The options are those of the step's text, whose defaults are Groovy's; the outputs those that its code names."""
    step = "uv" + "".join(part.capitalize() for part in component.split("-"))
    path = root / "jenkins-shared-lib" / "vars" / f"{step}.txt"
    if not path.exists():
        return None
    text = path.read_text(encoding="utf-8")
    given = re.findall(r"<li><code>(\w+)</code>:.*?Default: <code>(.*?)</code></li>", text)
    options = {kebab(name): text_of(groovy(default)) for name, default in given}
    code = path.with_suffix(".groovy").read_text(encoding="utf-8")
    told = re.search(r"\.outputs\((.*?)\)", code, re.DOTALL)
    return Interface(options, frozenset(map(kebab, re.findall(r"(\w+):", told[1] if told else ""))))


def kebab(name: str) -> str:
    """`pythonVersion` as `python-version`; digits stay where they are."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: f"-{match[1].lower()}", name)


def groovy(literal: str) -> Any:
    """The value of a Groovy literal: a text, a flag or a list."""
    return literal == "true" if literal in ("true", "false") else ast.literal_eval(literal)


def buildkite(root: Path, component: str) -> Interface | None:
    """The outputs are those that a hook hands to `tell_outputs`."""
    folder = root / "buildkite-plugins" / f"uv-{component}"
    if not (folder / "plugin.yml").exists():
        return None
    plugin: dict[str, Any] = yaml.safe_load((folder / "plugin.yml").read_text(encoding="utf-8"))
    options = {name: text_of(each.get("default")) for name, each in plugin["configuration"]["properties"].items()}
    hooks = "\n".join(path.read_text(encoding="utf-8") for path in sorted((folder / "hooks").glob("*")))
    told = [line.split() for line in re.findall(r"^tell_outputs \S+ (.*)$", hooks, re.MULTILINE)]
    return Interface(options, frozenset(name.replace("_", "-") for names in told for name in names))


PLATFORMS: dict[str, Callable[[Path, str], Interface | None]] = {
    "gitlab": gitlab,
    "jenkins": jenkins,
    "buildkite": buildkite,
}


@dataclass(frozen=True, order=True)
class Difference:
    """Where a platform differs from GitHub: `kind` is `adds`, `lacks` or `default`, of an `option` or an `output`."""

    platform: str
    component: str
    kind: str
    what: str
    name: str
    default: str = ""


def differences(root: Path) -> set[Difference]:
    """All of them, of the parts that are there."""
    found: set[Difference] = set()
    for component in COMPONENTS:
        ours = github(root, component)
        for platform, read in PLATFORMS.items():
            theirs = read(root, component)
            if not ours or not theirs:
                continue
            for what, a, b in (
                ("option", set(ours.options), set(theirs.options)),
                ("output", ours.outputs, theirs.outputs),
            ):
                found |= {Difference(platform, component, "adds", what, name) for name in b - a}
                found |= {Difference(platform, component, "lacks", what, name) for name in a - b}
            for name in ours.options.keys() & theirs.options.keys():
                if ours.options[name] != theirs.options[name]:
                    found.add(Difference(platform, component, "default", "option", name, theirs.options[name]))
    return found


def absent(root: Path) -> set[tuple[str, str]]:
    """The components that a platform hasn't: platform and component."""
    return {(name, each) for name, read in PLATFORMS.items() for each in COMPONENTS if not read(root, each)}
