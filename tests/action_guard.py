"""What is wrong with an `action.yml` that neither act nor a linter shows, as a list of sentences.

A real runner loses the inputs of a nested action with a post step, takes an unknown output for an empty text, and a
misspelt variable for one that is not set. All of that is silent, so it is looked for in the files.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

# The nested actions that may be used: each without a post step at this commit, which a person has looked at, with the
# version that the commit has and the outputs that its action.yml declares.
NESTED = {
    "actions/cache/restore@27d5ce7f107fe9357f9df03efb73ab90386fccae": (
        "v5.0.5",
        {"cache-hit", "cache-primary-key", "cache-matched-key"},
    ),
    "actions/cache/save@27d5ce7f107fe9357f9df03efb73ab90386fccae": ("v5.0.5", set()),
}

# bash on Windows, which has no sh on its PATH; sh elsewhere, since Alpine's containers have no bash.
SHELL = "${{ runner.os == 'Windows' && 'bash' || 'sh' }}"

# What a composite action can't see: a runner takes them for empty.
ABSENT_CONTEXTS = re.compile(r"\b(secrets|vars|needs)\.")

REFERENCE = re.compile(r"\bsteps\.([\w-]+)\.(?:outputs\.([\w-]+)|outcome|conclusion)\b")
INPUT = re.compile(r"\binputs\.([\w-]+)")
TOOL = re.compile(r"""/(?:run"? +|scripts/(?=\w+[.]py))([a-z_]+)""")
WRITTEN = re.compile(r"""['"]([a-z][a-z0-9-]*)=""")
OWN_VARIABLE = re.compile(r"\bUV_ACTIONS_[A-Z0-9_]+\b")


@dataclass(frozen=True)
class Option:
    """An option of a tool: its default as an input would write it (None: computed), and what it may be, if listed."""

    default: str | None
    choices: frozenset[str]


# What a parser of ours adds by itself.
BY_THE_PARSER = {
    "add_folder": ("WORKING_DIRECTORY", Option(".", frozenset())),
    "add_mirror": ("MIRROR", Option("", frozenset())),
}


class Tool:
    """A tool's source, as far as it can be known without running it."""

    def __init__(self, source: Path) -> None:
        self.tree = ast.parse(source.read_text(encoding="utf-8"))

    def options(self) -> dict[str, list[Option]]:
        """The options by the last part of their environment name; several where subcommands share a name."""
        found: dict[str, list[Option]] = {}
        for call in (node for node in ast.walk(self.tree) if isinstance(node, ast.Call)):
            name = call.args[0] if call.args else None
            if isinstance(name, ast.Constant) and isinstance(name.value, str) and name.value.startswith("--"):
                keywords = {each.arg: each.value for each in call.keywords}
                option = Option(default_of(keywords), choices_of(keywords))
                found.setdefault(name.value[2:].replace("-", "_").upper(), []).append(option)
            elif isinstance(call.func, ast.Attribute) and call.func.attr in BY_THE_PARSER:
                variable, option = BY_THE_PARSER[call.func.attr]
                found.setdefault(variable, []).append(option)
        return found

    def outputs(self) -> set[str]:
        """The names that it can set: the keys given to `set_outputs`, or the fields of the classes given to it."""
        found: set[str] = set()
        for call in (node for node in ast.walk(self.tree) if isinstance(node, ast.Call)):
            if isinstance(call.func, ast.Name) and call.func.id == "set_outputs":
                literal = keys_in(call)
                found |= literal or keys_in(self.tree) | fields_in(self.tree)
        return found


def default_of(keywords: dict[str | None, ast.expr]) -> str | None:
    """An option's default as text."""
    node = keywords.get("default")
    if node is None:
        action = keywords.get("action")
        return "false" if isinstance(action, ast.Constant) and action.value == "store_true" else ""
    text = ast.unparse(node)
    if isinstance(node, ast.Constant):
        return str(node.value).lower() if isinstance(node.value, bool) else str(node.value or "")
    known = {"Path()": ".", "Path('.')": ".", "[]": "", "()": ""}
    return known.get(text)


def choices_of(keywords: dict[str | None, ast.expr]) -> frozenset[str]:
    """What an option may be, where its source lists it."""
    node = keywords.get("choices")
    values = node.elts if isinstance(node, (ast.List, ast.Tuple)) else []
    constants = [each.value for each in values if isinstance(each, ast.Constant)]
    return frozenset(map(str, constants)) if len(constants) == len(values) else frozenset()


def keys_in(tree: ast.AST) -> set[str]:
    """The texts that are keys of a dictionary, or that one is filled by."""
    keys = {key for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys}
    keys |= {node.slice for node in ast.walk(tree) if isinstance(node, ast.Subscript)}
    return {key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}


def fields_in(tree: ast.AST) -> set[str]:
    """The names of the fields of its classes."""
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    fields = (each.target for body in bodies for each in body if isinstance(each, ast.AnnAssign))
    return {field.id for field in fields if isinstance(field, ast.Name)}


class Action:
    """An action.yml, and the scripts that it can run."""

    def __init__(self, text: str, scripts: Path) -> None:
        self.text = text
        self.scripts = scripts
        self.data: dict[str, Any] = yaml.safe_load(text)
        self.inputs: dict[str, dict[str, Any]] = self.data.get("inputs") or {}
        self.outputs: dict[str, dict[str, Any]] = self.data.get("outputs") or {}
        self.steps: list[dict[str, Any]] = self.data["runs"]["steps"]

    def tools(self, step: dict[str, Any]) -> dict[str, Tool]:
        """The tools that a step names, without those that don't exist."""
        paths = {name: self.scripts / f"{name}.py" for name in TOOL.findall(step.get("run", ""))}
        return {name: Tool(path) for name, path in paths.items() if path.exists()}

    def outputs_of(self, step: dict[str, Any]) -> set[str]:
        """The outputs that a step can have."""
        if "uses" in step:
            _, outputs = NESTED.get(step["uses"], ("", set()))
            helpers = self.scripts.glob("*.js") if "NODE_OPTIONS" in step.get("env", {}) else []
            return outputs | {name for path in helpers for name in written(path.read_text(encoding="utf-8"))}
        shell = written("\n".join(line for line in step["run"].splitlines() if "GITHUB_OUTPUT" in line))
        return shell.union(*(tool.outputs() for tool in self.tools(step).values()))


def written(code: str) -> set[str]:
    """The names of `"name=value` texts in a piece of code that writes to GITHUB_OUTPUT."""
    return set(WRITTEN.findall(code)) if "GITHUB_OUTPUT" in code else set()


def find(text: str, scripts: Path) -> list[str]:
    """What is wrong with an action."""
    action = Action(text, scripts)
    checks = (header, nested, bodies, references, inputs_used, descriptions, variables)
    return [finding for check in checks for finding in check(action)]


def name_of(step: dict[str, Any]) -> str:
    return f"step `{step.get('name', step.get('id', '?'))}`"


def header(action: Action) -> Iterator[str]:
    comment = action.text.partition("\nname:")[0]
    for part in ("Permissions:", "Talks to:", "Oldest runner:", *(uses.partition("@")[2] for uses in uses_of(action))):
        if part not in comment:
            yield f"the header comment doesn't say `{part}`"


def uses_of(action: Action) -> list[str]:
    return [step["uses"] for step in action.steps if "uses" in step]


def nested(action: Action) -> Iterator[str]:
    for uses in uses_of(action):
        if uses not in NESTED:
            yield f"`{uses}` isn't among the nested actions known to have no post step"
        elif f"uses: {uses} # {NESTED[uses][0]}\n" not in action.text:
            yield f"`{uses}` isn't followed by `# {NESTED[uses][0]}`"


def bodies(action: Action) -> Iterator[str]:
    for step in action.steps:
        if "name" not in step:
            yield f"{name_of(step)} has no name"
        if "run" not in step:
            continue
        if "${{" in step["run"]:
            yield f"{name_of(step)} has an expression in its `run`"
        if step.get("shell") != SHELL:
            yield f"{name_of(step)} must have `shell: {SHELL}`"
        for tool in set(TOOL.findall(step["run"])) - action.tools(step).keys():
            yield f"{name_of(step)} runs `{tool}`, which doesn't exist"


def references(action: Action) -> Iterator[str]:
    known: dict[str, set[str]] = {}
    for step in action.steps:
        yield from unresolved(name_of(step), step, known)
        if "id" in step:
            if step["id"] in known:
                yield f"the id `{step['id']}` is given twice"
            known[step["id"]] = action.outputs_of(step)
    for name, output in action.outputs.items():
        yield from unresolved(f"output `{name}`", output["value"], known)
        if not REFERENCE.search(output["value"]):
            yield f"output `{name}` comes from no step"


def unresolved(place: str, value: Any, known: dict[str, set[str]]) -> Iterator[str]:
    for text in texts_in(value):
        for step, output in REFERENCE.findall(text):
            if step not in known:
                yield f"{place}: `steps.{step}` is no earlier step"
            elif output and output not in known[step]:
                yield f"{place}: `steps.{step}.outputs.{output}` is never set"
        if "steps[" in text or "inputs[" in text:
            yield f"{place}: write `steps.x.outputs.y`, which this guard can follow"
        if ABSENT_CONTEXTS.search(text) and "${{" in text:
            yield f"{place}: an action can't see `secrets`, `vars` or `needs`"


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from texts_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_in(each)
    elif isinstance(value, str):
        yield value


def inputs_used(action: Action) -> Iterator[str]:
    used = {name for text in texts_in([action.steps, action.outputs]) for name in INPUT.findall(text)}
    yield from (f"input `{name}` is never used" for name in sorted(action.inputs.keys() - used))
    yield from (f"`inputs.{name}` is no input" for name in sorted(used - action.inputs.keys()))


def descriptions(action: Action) -> Iterator[str]:
    for name, given in action.inputs.items():
        text = given.get("description", "")
        kind = kind_of(text)
        if not kind:
            yield f"input `{name}`: the description states no type"
        if kind in ("flag", "choice") and not allowed_in(text):
            yield f"input `{name}`: the description of a {kind} states no allowed values"
        if given.get("required"):
            if "default" in given or "Required." not in text:
                yield f"input `{name}` is required: say `Required.`, give no default"
            continue
        if not isinstance(given.get("default"), str):
            yield f"input `{name}` has no default in quotes"
        stated = re.search(r"Default: (?:`([^`]*)`|(empty))", text)
        if not stated or (stated[1] or "") != given.get("default"):
            yield f"input `{name}`: the description doesn't state its default, `{given.get('default')}`"
    for name, given in action.outputs.items():
        if not kind_of(given.get("description", "")):
            yield f"output `{name}`: the description states no type"


def kind_of(description: str) -> str:
    """The first word of the type that a description states."""
    stated = re.search(r"\bType: (\w+)", description)
    return stated[1] if stated else ""


def allowed_in(description: str) -> set[str]:
    """The values that a description allows."""
    sentence = re.sub(r"\([^)]*\)", "", description.partition("Allowed: ")[2]).partition(". ")[0]
    return set(re.findall(r"`([^`]*)`", sentence))


def variables(action: Action) -> Iterator[str]:
    """Each variable of ours is read by someone, and an input's default and choices are those of the option it sets."""
    sources = [path for path in action.scripts.iterdir() if path.name == "run" or path.suffix in (".py", ".sh")]
    read = {name for path in sources for name in OWN_VARIABLE.findall(path.read_text(encoding="utf-8"))}
    all_tools = sorted((path.stem for path in action.scripts.glob("*.py")), key=len, reverse=True)
    for step in action.steps:
        for variable, value in step.get("env", {}).items():
            if not variable.startswith("UV_ACTIONS_") or variable in read:
                continue
            tool = next((name for name in all_tools if variable.startswith(f"UV_ACTIONS_{name.upper()}_")), "")
            options = Tool(action.scripts / f"{tool}.py").options() if tool else {}
            option = variable.removeprefix(f"UV_ACTIONS_{tool.upper()}_")
            if option not in options:
                yield f"{name_of(step)}: nothing reads `{variable}`"
                continue
            direct = re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", value)
            if direct and direct[1] in action.inputs:
                yield from unequal(direct[1], action.inputs[direct[1]], tool, options[option])


def unequal(name: str, given: dict[str, Any], tool: str, options: list[Option]) -> Iterator[str]:
    """Where an input and the option of a tool that it sets differ."""
    allowed = allowed_in(given.get("description", ""))
    for option in options:
        if not given.get("required") and option.default != given.get("default"):
            yield f"input `{name}` is {given.get('default')!r} by default, in {tool} it is {option.default!r}"
        if option.choices and option.choices != allowed:
            yield f"input `{name}` allows {sorted(allowed)}, {tool} allows {sorted(option.choices)}"
