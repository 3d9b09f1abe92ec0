"""What is wrong with a file of the Jenkins library that neither the linter nor a run shows, as a list of sentences.

A library of a folder runs in Groovy's sandbox, which refuses at run time what the JVM would do, and Jenkins' `sh`
writes every command into the log unless the script begins with a line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# What the sandbox refuses, or what would reach past the build.
FORBIDDEN = {
    r"\bnew\s+(?:java\.io\.)?File\w*\b": "files of the controller",
    r"\b(?:java\.lang\.)?System\s*\.": "the controller's JVM",
    r"\b(?:Runtime|Thread|Class)\s*\.|\bnew\s+(?:ProcessBuilder|Thread)\b": "the controller's JVM",
    r"@Grab": "downloads into the controller",
    r"\bJenkins\s*\.|\bhudson\.|\bjenkins\.model\b": "Jenkins itself",
    r"\.execute\s*\(|\bevaluate\s*\(|\bGroovyShell\b|\bEval\.": "code made at run time",
    r"\bcurrentBuild\.raw|\$build\(\)": "the build's own objects",
}
GLOBAL_ENVIRONMENT = re.compile(r"(?<![\w.])env\.\w+\s*=(?!=)")

# The beginning of a script that isn't traced, as an expression.
HEAD = r"""(?:(?:Shell\.)?HEAD\b|(?:'|"|'''|\"{3})\#!/bin/sh -e(?:\\n|\n))"""
# `sh`, and its argument: a text, a variable, or a map with `script:`. `sh/` and `'sh'` are no calls.
CALL = re.compile(
    r"""(?<![\w'"/.-])(?:steps\.|script\.)?(sh|bat|powershell|pwsh)\s*(?:\(|(?=['"]))(?=(.{0,400}))""", re.DOTALL
)
COMMENT = re.compile(r"""/\*.*?\*/|(?<![:'"\\])//[^\n]*""", re.DOTALL)


def find(text: str) -> list[str]:
    """What is wrong with a file."""
    return [finding for check in (forbidden, classes, environment, shell, secrets) for finding in check(code(text))]


def code(text: str) -> str:
    """The text without comments, with as many lines."""
    return COMMENT.sub(lambda match: "\n" * match[0].count("\n"), text)


def line_of(source: str, match: re.Match[str]) -> str:
    return f"line {source.count(chr(10), 0, match.start()) + 1}"


def forbidden(source: str) -> Iterator[str]:
    for pattern, what in FORBIDDEN.items():
        for match in re.finditer(pattern, source):
            yield f"{line_of(source, match)}: `{match[0].strip()}` reaches {what}"


def classes(source: str) -> Iterator[str]:
    """CPS saves what is alive at each step."""
    for match in re.finditer(r"^(?:abstract |final )*class (\w+)([^{]*)", source, re.MULTILINE):
        if not re.search(r"\bimplements\b.*\bSerializable\b", match[2], re.DOTALL):
            yield f"class `{match[1]}` isn't Serializable"


def environment(source: str) -> Iterator[str]:
    for match in GLOBAL_ENVIRONMENT.finditer(source):
        yield f"{line_of(source, match)}: `{match[0]}` sets a variable of the whole build"
    for match in re.finditer(r"withEnv\s*\([^)]*\bPATH\b[+\w]*=", source):
        yield f"{line_of(source, match)}: `withEnv` with PATH does nothing in a container"


def shell(source: str) -> Iterator[str]:
    """Each script says by its first line that commands aren't traced."""
    for match in CALL.finditer(source):
        argument = re.sub(r"^[^'\")][^)]*?\bscript:\s*|^script:\s*", "", match[2].lstrip())
        if match[1] != "sh":
            yield f"{line_of(source, match)}: `{match[1]}` is for one system; `sh` is there on Windows too, by Git"
        elif not begins_with_head(argument, source):
            yield f"{line_of(source, match)}: this script doesn't begin with `#!/bin/sh -e`, so its commands are logged"


def begins_with_head(argument: str, source: str) -> bool:
    """Whether a script, an expression or a variable that holds one, has our first line."""
    if re.match(HEAD, argument):
        return True
    variable = re.match(r"(\w+)\s*[,)\]]", argument)
    given = re.findall(rf"\b{variable[1]}\s*=\s*({HEAD}|)", source) if variable else []
    return bool(given) and all(given)


def secrets(source: str) -> Iterator[str]:
    """A secret is a variable of sh alone: in a Groovy string it is saved with the build and part of a command line."""
    for name in sorted(set(re.findall(r"(?:variable|passwordVariable|usernameVariable):\s*'(\w+)'", source))):
        if re.search(rf"""(?<!\\)\$\{{?(?:env\.)?{name}\b(?![^\n]*')|\benv\.{name}\b|\benv\[['"]{name}""", source):
            yield f"the credential's variable `{name}` is read by Groovy"
