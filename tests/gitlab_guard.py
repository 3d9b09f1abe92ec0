"""What is wrong with a released GitLab template that gitlab-ci-local doesn't show, as a list of sentences.

It runs jobs in bash on this machine, interpolates by its own rules, and knows neither the runner's expansion of
variables nor what a pipeline looks like that includes a template twice. So that is looked for in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from engines.gitlab_inputs import documents

# What would hold for every job of the pipeline that includes the template.
GLOBAL_KEYWORDS = {"default", "workflow", "variables", "stages", "include", "image", "services", "cache", "pages"}
# What is the user's to set on our jobs.
USERS_KEYWORDS = ("before_script", "after_script", "services", "tags", "hooks")
SCRIPTS = ("script", "before_script", "after_script")
FLAG = ["true", "false"]
INPUT = re.compile(r"\$\[\[\s*inputs\.([\w-]+)[^\]]*\]\]")
WHOLE = re.compile(r"\$\[\[\s*inputs\.[\w-]+\s*\]\]")


class Template:
    """A template: its inputs, and its jobs, hidden ones too."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.documents = documents(text)
        self.header: dict[str, Any] = self.documents[0] if len(self.documents) > 1 else {}
        self.jobs: dict[str, Any] = self.documents[-1]
        self.inputs: dict[str, dict[str, Any]] = (self.header.get("spec") or {}).get("inputs") or {}


def find(text: str) -> list[str]:
    """What is wrong with a template."""
    template = Template(text)
    checks = (form, keywords, inputs_used, inputs_declared, arrays, hidden_jobs, variables, scripts, caches)
    return [finding for check in checks for finding in check(template)]


def form(template: Template) -> Iterator[str]:
    if set(template.header) != {"spec"} or len(template.documents) != 2:
        yield "a template is two documents: `spec:` alone, and the jobs"
    if "${{" in template.text:
        yield "`${{`: a runner takes it for an expression of its own"


def keywords(template: Template) -> Iterator[str]:
    for name in sorted(GLOBAL_KEYWORDS.union(SCRIPTS) & template.jobs.keys()):
        yield f"`{name}` is global: it changes all jobs of the user's pipeline"
    for name, job in jobs(template):
        yield from (
            f"job `{name}` sets `{keyword}`, which is the user's" for keyword in USERS_KEYWORDS if keyword in job
        )


def jobs(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """The jobs, hidden ones too."""
    for name, job in template.jobs.items():
        if name not in GLOBAL_KEYWORDS.union(SCRIPTS) and isinstance(job, dict):
            yield name, job


def inputs_used(template: Template) -> Iterator[str]:
    used = {name for text in texts_in(template.jobs) for name in INPUT.findall(text)}
    yield from (f"input `{name}` is never used" for name in sorted(template.inputs.keys() - used))
    yield from (f"`inputs.{name}` is no input" for name in sorted(used - template.inputs.keys()))


def texts_in(value: Any) -> Iterator[str]:
    """All texts in a value, names too."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield str(key)
            yield from texts_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_in(each)
    elif isinstance(value, str):
        yield value


def inputs_declared(template: Template) -> Iterator[str]:
    for name, given in template.inputs.items():
        given = given or {}
        if not given.get("description"):
            yield f"input `{name}` has no description"
        kind = given.get("type")
        if kind is None:
            yield f"input `{name}` has no type"
        if kind == "boolean":
            yield f"input `{name}` is a boolean, which stays one in `variables`: make it a string with options"
        options = given.get("options")
        if {str(each).lower() for each in options or ()} == set(FLAG) and options != FLAG:
            yield f"input `{name}` is a flag: its options are `['true', 'false']`"
        if given.get("default") in (*FLAG, True, False) and not options:
            yield f"input `{name}` is a flag without `options`"
        pattern = given.get("regex")
        if pattern and not (pattern.startswith("^") and pattern.endswith("$") and not top_level_alternative(pattern)):
            yield f"input `{name}`: its `regex` isn't anchored at both ends"
        if kind == "string" and "default" in given and not isinstance(given["default"], str):
            yield f"input `{name}` has a default that isn't a string"
        if kind == "array" and not isinstance(given.get("default", []), list):
            yield f"input `{name}` has a default that isn't an array"


def top_level_alternative(pattern: str) -> bool:
    """Whether a `|` splits the whole pattern, so that `^a|b$` matches `ax`."""
    depth = 0
    for mark in re.findall(r"\\.|\[(?:\\.|[^\]])+\]|[()|]", pattern):
        depth += (mark == "(") - (mark == ")")
        if mark == "|" and depth == 0:
            return True
    return False


def arrays(template: Template) -> Iterator[str]:
    """An array becomes text inside a text, in GitLab in another form than in gitlab-ci-local."""
    lists = {name for name, given in template.inputs.items() if (given or {}).get("type") == "array"}
    for text in texts_in(template.jobs):
        for name in sorted(lists.intersection(INPUT.findall(text))):
            if not WHOLE.fullmatch(text):
                yield f"input `{name}` is an array, but is used inside a text: {text[:60]!r}"
    for name, job in jobs(template):
        for text in texts_in(job.get("variables", {})):
            yield from (
                f"job `{name}` has the array `{each}` in `variables`, which take none"
                for each in sorted(lists.intersection(INPUT.findall(text)))
            )


def hidden_jobs(template: Template) -> Iterator[str]:
    for name, job in jobs(template):
        if name.startswith(".") and not INPUT.search(name) and any(map(INPUT.search, texts_in(job))):
            yield f"`{name}` holds an input: a second include with another value would change the first one's jobs"
        if not name.startswith(".") and not INPUT.search(name):
            yield f"job `{name}` has a fixed name: a second include would replace it"


def variables(template: Template) -> Iterator[str]:
    """What a user may write any text into reaches the job as it is: the runner expands `$x` in all other values."""
    for job_name, job in jobs(template):
        for name, value in (job.get("variables") or {}).items():
            text = value.get("value") if isinstance(value, dict) else value
            free = [each for each in INPUT.findall(str(text)) if not (template.inputs.get(each) or {}).get("options")]
            if free and not (isinstance(value, dict) and value.get("expand") is False):
                yield f"job `{job_name}`: write `{name}` as `{{value: …, expand: false}}`"
            if not isinstance(text, (str, int)) or isinstance(text, bool):
                yield f"job `{job_name}`: variable `{name}` is neither a string nor an integer"


def scripts(template: Template) -> Iterator[str]:
    """An input reaches a script as a variable, or between single quotes if it can't hold one.

    The second where a variable isn't safe: what an earlier job puts into a dotenv report outranks the job's own.
    """
    for name, job in jobs(template):
        for body in bodies(job):
            for place in INPUT.finditer(body):
                quoted = body[place.start() - 1 : place.start()] == body[place.end() : place.end() + 1] == "'"
                if not quoted or can_hold_a_quote(template.inputs.get(place[1]) or {}):
                    yield f"job `{name}` has {place[0]} in its script, which isn't safe there"
            if "$[[" in INPUT.sub("", body):
                yield f"job `{name}` has `$[[` in its script"
        if "script" in job and not list(bodies(job)):
            yield f"job `{name}` has an empty script"


def can_hold_a_quote(given: dict[str, Any]) -> bool:
    """Whether an input's values may have a single quote in them."""
    if given.get("options"):
        return any("'" in str(each) for each in given["options"])
    pattern = given.get("regex")
    return not pattern or any(re.search(pattern, text) for text in ("'", "a'", "'a", "a'b", "a\n'\nb", "1'1"))


def bodies(job: dict[str, Any]) -> Iterator[str]:
    """The texts of a job's script, without what it takes from other jobs."""
    for keyword in SCRIPTS:
        script = job.get(keyword) or []
        yield from (each for each in ([script] if isinstance(script, str) else script) if isinstance(each, str))


def matrix(job: dict[str, Any]) -> set[str]:
    """The variables that tell the jobs of a matrix apart."""
    parallel = job.get("parallel")
    rows = parallel.get("matrix") if isinstance(parallel, dict) else None
    return {name for row in rows or () if isinstance(row, dict) for name in row}


def caches(template: Template) -> Iterator[str]:
    """A key is one for all refs: GitLab adds what keeps protected ones apart, and the marker holds the rest."""
    for name, job in jobs(template):
        given = job.get("cache") or []
        for cache in given if isinstance(given, list) else [given]:
            key = cache.get("key")
            if not isinstance(key, str) or not set(re.findall(r"\$\{?(\w+)", key)) <= matrix(job):
                yield f"job `{name}`: the cache's key isn't one literal text"
            if "fallback_keys" in cache:
                yield f"job `{name}`: `fallback_keys` are exact in GitLab, so they never match"
            if cache.get("when") != "always":
                yield f"job `{name}`: a failing job loses its cache without `when: always`"
        if "id_tokens" in job and job.get("cache") != []:
            yield f"job `{name}` can publish, so it has `cache: []`"


class Reference(list[str]):
    """What `!reference` names, to be written as that."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(Reference, lambda dumper, value: dumper.represent_sequence("!reference", value))


def expanded(text: str) -> str:
    """The jobs as GitLab sees them once each input has its default, or else the first value that it allows."""
    template = Template(text)
    values = {name: value_of(given or {}) for name, given in template.inputs.items()}
    return yaml.dump(with_inputs(template.jobs, values), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def value_of(given: dict[str, Any]) -> Any:
    """A value that an input may have."""
    return given.get("default", (given.get("options") or ["sample"])[0])


def with_inputs(value: Any, values: dict[str, Any]) -> Any:
    """The value with the inputs in it: a whole node keeps an input's type, inside a text it becomes text."""
    if isinstance(value, dict):
        if set(value) == {"!reference"}:
            return Reference(with_inputs(value["!reference"], values))
        return {with_inputs(key, values): with_inputs(each, values) for key, each in value.items()}
    if isinstance(value, list):
        return [with_inputs(each, values) for each in value]
    if not isinstance(value, str):
        return value
    if WHOLE.fullmatch(value):
        return values[INPUT.findall(value)[0]]
    return INPUT.sub(lambda match: str(values[match[1]]), value)
