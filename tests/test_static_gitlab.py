"""What can be seen of the GitLab templates without running them: our guard, GitLab's schema, the shells' own checks."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import gitlab_guard
import pytest
import yaml
from linters import check, linter

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "gitlab-templates").glob("*.yml"))
PIECES = sorted((ROOT / "gitlab-templates").glob("_*.sh"))
SCHEMA = ("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci")

EMBEDDED = re.compile(r"(<<'UV_ACTIONS_END'[^\n]*\n).*?(^UV_ACTIONS_END$)", re.DOTALL | re.MULTILINE)

# A right template, and what the guard says of it once a piece is replaced.
RIGHT = """\
spec:
  inputs:
    job:
      description: "The job's name. Type: text. Default: `test`"
      type: string
      default: test
    stage:
      description: "Its stage. Type: text. Default: `test`"
      type: string
      default: test
    pythons:
      description: "The Pythons. Type: list. Default: `3.13`"
      type: array
      default: ["3.13"]
    image:
      description: "The image. Type: text. Default: empty."
      type: string
      default: ""
      regex: ^([a-z]+|[0-9]+)?$
    url:
      description: "Where. Type: text. Default: empty."
      type: string
      default: ""
      regex: ^[^']*$
    args:
      description: "More arguments. Type: list, one item a line. Default: empty."
      type: string
      default: ""
    sync:
      description: "Whether to sync. Type: flag. Default: `true`"
      type: string
      options: ["true", "false"]
      default: "true"
---
.uv-actions-base:
  interruptible: true
"$[[ inputs.job ]]":
  extends: .uv-actions-base
  stage: $[[ inputs.stage ]]
  image: python:$[[ inputs.image ]]
  parallel:
    matrix:
      - PYTHON: $[[ inputs.pythons ]]
  variables:
    UV_ACTIONS_ARGS: {value: "$[[ inputs.args ]]", expand: false}
    UV_ACTIONS_SYNC: "$[[ inputs.sync ]]"
  cache:
    key: uv-$PYTHON-$[[ inputs.job ]]
    paths: [.uv-cache]
    when: always
  script:
    - !reference [.uv-actions-base, script]
    - echo "$UV_ACTIONS_ARGS" '$[[ inputs.url ]]' '$[[ inputs.sync ]]'
"""


def test_guard_finds_nothing_in_a_right_template() -> None:
    assert gitlab_guard.find(RIGHT) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("---\n", "---\na: {script: [x]}\n---\n", "two documents"),
        ("spec:\n", "other: 1\nspec:\n", "two documents"),
        ('echo "$UV', 'echo "${{ x }} $UV', "a runner takes it"),
        ("---\n", "---\nvariables: {A: b}\n", "`variables` is global"),
        ("---\n", "---\ndefault: {image: x}\n", "`default` is global"),
        ("---\n", "---\nbefore_script: [x]\n", "`before_script` is global"),
        *(
            ("  script:\n", f"  {keyword}: [x]\n  script:\n", f"sets `{keyword}`")
            for keyword in ("before_script", "after_script", "services", "tags")
        ),
        ("  interruptible: true\n", "  after_script: [x]\n", "job `.uv-actions-base` sets `after_script`"),
        ("$[[ inputs.stage ]]", "test", "input `stage` is never used"),
        ("$[[ inputs.stage ]]", "$[[ inputs.satge ]]", "`inputs.satge` is no input"),
        ('      description: "Its stage. Type: text. Default: `test`"\n', "", "input `stage` has no description"),
        (
            "      type: string\n      default: test\n    pythons",
            "      default: test\n    pythons",
            "`stage` has no type",
        ),
        ("type: string\n      options", "type: boolean\n      options", "input `sync` is a boolean"),
        ('options: ["true", "false"]', "options: [true, false]", "its options are `['true', 'false']`"),
        ('options: ["true", "false"]', 'options: ["false", "true"]', "its options are `['true', 'false']`"),
        ('      options: ["true", "false"]\n', "", "input `sync` is a flag without `options`"),
        ("regex: ^(", "regex: (", "input `image`: its `regex` isn't anchored"),
        (")?$\n", ")?\n", "input `image`: its `regex` isn't anchored"),
        ("^([a-z]+|[0-9]+)?$", "^[a-z]+|[0-9]+$", "input `image`: its `regex` isn't anchored"),
        ('default: ""\n      regex', "default: 3.10\n      regex", "input `image` has a default that isn't a string"),
        ('default: ["3.13"]', 'default: "3.13"', "input `pythons` has a default that isn't an array"),
        ("PYTHON: $[[ inputs.pythons ]]", 'PYTHON: ["$[[ inputs.pythons ]] x"]', "is used inside a text"),
        ('SYNC: "$[[ inputs.sync ]]"', 'SYNC: "$[[ inputs.pythons ]]"', "has the array `pythons` in `variables`"),
        ("interruptible: true", "stage: $[[ inputs.stage ]]", "`.uv-actions-base` holds an input"),
        ('"$[[ inputs.job ]]":', "test:", "job `test` has a fixed name"),
        ('{value: "$[[ inputs.args ]]", expand: false}', '"$[[ inputs.args ]]"', "write `UV_ACTIONS_ARGS` as"),
        (", expand: false", ", expand: true", "write `UV_ACTIONS_ARGS` as"),
        ('SYNC: "$[[ inputs.sync ]]"', "SYNC: true", "`UV_ACTIONS_SYNC` is neither a string nor an integer"),
        ('echo "$UV_ACTIONS_ARGS"', 'echo "$[[ inputs.args ]]"', "has $[[ inputs.args ]] in its script, which isn't"),
        ('echo "$UV_ACTIONS_ARGS"', "echo '$[[ inputs.args ]]'", "has $[[ inputs.args ]] in its script, which isn't"),
        ("'$[[ inputs.url ]]'", "$[[ inputs.url ]]", "has $[[ inputs.url ]] in its script, which isn't safe"),
        ("'$[[ inputs.url ]]'", '"$[[ inputs.url ]]"', "has $[[ inputs.url ]] in its script, which isn't safe"),
        ("regex: ^[^']*$", "regex: ^.*$", "has $[[ inputs.url ]] in its script, which isn't safe"),
        ("regex: ^[^']*$", "regex: ^[a-z']*$", "has $[[ inputs.url ]] in its script, which isn't safe"),
        ('echo "$UV_ACTIONS_ARGS"', 'echo "$[[ component.version ]]"', "has `$[[` in its script"),
        ("  script:\n", "  script: []\n  other:\n", "has an empty script"),
        ("key: uv-$PYTHON-", "key: uv-$CI_COMMIT_SHA-", "the cache's key isn't one literal text"),
        ("key: uv-$PYTHON-$[[ inputs.job ]]", "key: {files: [uv.lock]}", "the cache's key isn't one literal text"),
        ("    when: always\n", "", "without `when: always`"),
        ("    when: always\n", "    when: always\n    fallback_keys: [x]\n", "they never match"),
        ("  script:\n", "  id_tokens: {PYPI_ID_TOKEN: {aud: pypi}}\n  script:\n", "so it has `cache: []`"),
    ],
)
def test_guard_finds(old: str, new: str, finding: str) -> None:
    assert old in RIGHT
    findings = gitlab_guard.find(RIGHT.replace(old, new, 1))
    assert any(finding in each for each in findings), findings


def test_schema_of_gitlab_takes_a_right_template_and_finds_faults(tmp_path: Path) -> None:
    file = tmp_path / "expanded.yml"
    file.write_text(gitlab_guard.expanded(RIGHT), encoding="utf-8")
    check(*SCHEMA, file)
    jobs = yaml.load(file.read_text(encoding="utf-8").replace("!reference", ""), Loader=yaml.SafeLoader)
    assert jobs["test"]["parallel"] == {"matrix": [{"PYTHON": ["3.13"]}]}
    assert jobs["test"]["variables"]["UV_ACTIONS_SYNC"] == "true"
    file.write_text(gitlab_guard.expanded(RIGHT.replace("when: always", "when: alwys")), encoding="utf-8")
    done = subprocess.run([linter(SCHEMA[0]), *SCHEMA[1:], file], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "alwys" in done.stdout


def released(release: Path) -> list[Path]:
    """The templates of the release tree: those of the source, with what they need inside."""
    found = sorted((release / "templates").glob("*.yml"))
    assert [path.name for path in found] == [path.name for path in SOURCES]
    return found


def test_templates(release: Path) -> None:
    findings = {path.name: gitlab_guard.find(path.read_text(encoding="utf-8")) for path in released(release)}
    assert findings == {name: [] for name in findings}


def test_templates_with_the_schema_of_gitlab(tmp_path: Path) -> None:
    """As they are in the source: the embedded scripts are nothing to the schema, and slow to read."""
    files = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        header, body = tmp_path / f"header-{path.name}", tmp_path / path.name
        header.write_text(re.split(r"^---$", text, maxsplit=1, flags=re.MULTILINE)[0], encoding="utf-8")
        body.write_text(gitlab_guard.expanded(text), encoding="utf-8")
        files += [header, body]
    if files:
        check(*SCHEMA, *files)


def test_pipelines_with_the_schema_of_gitlab(release: Path) -> None:
    files = [path for path in (ROOT / ".gitlab-ci.yml", release / ".gitlab-ci.yml") if path.exists()]
    assert len(files) >= bool(SOURCES)
    if files:
        check(*SCHEMA, *files)


@pytest.fixture(scope="module")
def bodies(release: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The script bodies of the templates, as files."""
    folder = tmp_path_factory.mktemp("bodies")
    for path in released(release):
        template = gitlab_guard.Template(path.read_text(encoding="utf-8"))
        for number, (name, job) in enumerate(gitlab_guard.jobs(template)):
            # What is in the embedded files is checked where they are.
            body = EMBEDDED.sub(r"\1\2", "\n".join(gitlab_guard.bodies(job)))
            if body:
                title = re.sub(r"[^\w-]+", "-", name)
                (folder / f"{path.stem}-{number}-{title}.sh").write_text(f"#!/bin/sh -e\n{body}\n", encoding="utf-8")
    return sorted(folder.iterdir())


def test_each_template_has_a_script(bodies: list[Path]) -> None:
    assert {path.name.split("-")[0] for path in bodies} == {path.stem.split("-")[0] for path in SOURCES}


def test_each_piece_is_in_a_template() -> None:
    """So that it is looked at there."""
    text = "".join(path.read_text(encoding="utf-8") for path in [*SOURCES, *PIECES])
    assert {path.name for path in PIECES} == set(re.findall(r"# uv-actions: include (\S+)", text))


def test_shellcheck_of_the_scripts(bodies: list[Path]) -> None:
    if bodies:
        # What the tools' outputs and the job set, shellcheck can't see.
        check("shellcheck", "--shell=sh", "--severity=style", "--exclude=SC1091,SC2153,SC2154", *bodies)


@pytest.mark.parametrize("shell", [("dash",), ("busybox", "sh"), ("bash", "--posix")], ids=" ".join)
def test_shell_parses_the_scripts(shell: tuple[str, ...], bodies: list[Path]) -> None:
    for path in bodies:
        check(*shell, "-n", path)
