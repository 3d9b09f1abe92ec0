"""GitLab's own checks of the inputs of an `include:`, which gitlab-ci-local makes in part: for inputs that are used.

Source: gitlab-org/gitlab, lib/gitlab/ci/config/interpolation/inputs; doc/ci/inputs
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

KEYWORDS = {"type", "default", "description", "options", "regex"}
TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "number": (int, float),
    "boolean": bool,
    "array": list,
}


class _Loader(yaml.SafeLoader):
    """YAML as GitLab reads it: `!reference` is a tag of its own, and an unquoted 3.10 is a number."""


_LOADER_TAG = "!reference"
_Loader.add_constructor(_LOADER_TAG, lambda loader, node: {_LOADER_TAG: loader.construct_sequence(node)})


def documents(text: str) -> list[Any]:
    """The documents of a configuration: a header with `spec:` where there is one, and the content."""
    return list(yaml.load_all(text, Loader=_Loader))


def specification(template: str) -> dict[str, dict[str, Any]]:
    """The inputs that a template's header declares: name -> keywords."""
    header = documents(template)[0]
    return {name: each or {} for name, each in (header.get("spec") or {}).get("inputs", {}).items()}


def check(config: Mapping[str, Any], find: Callable[[Mapping[str, Any]], Path | None]) -> list[str]:
    """What GitLab would refuse in a configuration's includes; `find` gives the file of an include, if it is ours."""
    includes = config.get("include") or []
    problems: list[str] = []
    for entry in includes if isinstance(includes, list) else [includes]:
        path = find(entry) if isinstance(entry, dict) else None
        if path:
            template = path.read_text(encoding="utf-8")
            given = entry.get("inputs") or {}
            problems += [f"`{path.name}`: {problem}" for problem in _problems(specification(template), given)]
    return problems


def _problems(spec: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> Iterator[str]:
    if unknown := sorted(set(given) - set(spec)):
        yield f"unknown input arguments: {', '.join(unknown)}"
    for name, keywords in spec.items():
        if stray := set(keywords) - KEYWORDS:
            yield f"header:spec:inputs:{name} config contains unknown keys: {', '.join(sorted(stray))}"
        if "default" in keywords:
            yield from _value_problems(name, keywords, keywords["default"], "default value")
        elif name not in given:
            yield f"`{name}` input: required value has not been provided"
        if name in given:
            yield from _value_problems(name, keywords, given[name], "provided value")


def _value_problems(name: str, keywords: Mapping[str, Any], value: Any, which: str) -> Iterator[str]:
    kind = keywords.get("type", "string")
    if not isinstance(value, TYPES[kind]) or (kind == "number" and isinstance(value, bool)):
        yield f"`{name}` input: {which} is not a{'n' if kind == 'array' else ''} {kind}"
        return
    options = keywords.get("options")
    if options is not None and value not in options:
        yield f"`{name}` input: `{value}` cannot be used because it is not in the list of allowed options"
    # Python's `$` would match before a last line end, RE2's doesn't.
    pattern = re.sub(r"\$\Z", r"\\Z", keywords.get("regex", ""))
    if pattern and not re.search(pattern, value):
        yield f"`{name}` input: {which} does not match required RegEx pattern"
