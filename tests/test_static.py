"""What can be seen without running anything: the guard for what act can't show, and the field's own linters."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import action_guard
import pytest
import yaml
from engines import actionlint as engine
from linters import check

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts"
ACTIONS = sorted((ROOT / "actions").glob("*/action.yml"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TOOLS = sorted(path for path in SCRIPTS.glob("*.py") if path.name != "_common.py")

SHEBANG = '#!/usr/bin/env -S uv run --no-config --locked --script\n# /// script\n# requires-python = ">=3.10"\n'


def files_of_the_repository() -> list[Path]:
    """The files that git keeps or would keep, without the sample projects, whose faults are made on purpose."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    paths = (ROOT / name for name in names if name and not name.startswith("tests/projects/"))
    return [path for path in paths if path.is_file()]


FILES = files_of_the_repository()
SHELL_FILES = [path for path in FILES if re.match(rb"#! ?/\S*\b(sh|env sh)\b", path.read_bytes()[:40])]
SHELL_FILES += [path for path in FILES if path.suffix == ".sh" and path not in SHELL_FILES]
# Pieces make sense only where they are put together: test_static_gitlab.py and test_static_jenkins.py look there.
SHELL_FILES = [path for path in SHELL_FILES if not path.is_relative_to(ROOT / "gitlab-templates")]
SHELL_FILES = [path for path in SHELL_FILES if not path.is_relative_to(ROOT / "jenkins-shared-lib")]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# ---------------------------------------------------------------------------------------------------------------------
# Actions


@pytest.mark.parametrize("path", ACTIONS, ids=named)
def test_action(path: Path) -> None:
    assert action_guard.find(path.read_text(encoding="utf-8"), SCRIPTS) == []


def test_all_actions_are_seen() -> None:
    assert {path.parent.name for path in ACTIONS} >= {"setup", "cache", "lock-check", "test", "build", "publish"}


def test_released_actions_are_those_of_the_source(release: Path) -> None:
    for path in ACTIONS:
        assert (release / path.parent.name / "action.yml").read_bytes() == path.read_bytes()
    scripts = {path.name for path in (release / "scripts").iterdir()}
    for path in ACTIONS:
        assert {f"{tool}.py" for tool in action_guard.TOOL.findall(path.read_text(encoding="utf-8"))} <= scripts


# A right action, and what the guard says of it once a piece is replaced.
RIGHT = """\
# Permissions: none.
# Talks to: nobody.
# Nested: 27d5ce7f107fe9357f9df03efb73ab90386fccae
# Oldest runner: 2.327.1
name: x
description: x
inputs:
  level:
    description: "How much. Type: choice. Allowed: `low` (a bit), `high`. Default: `low`"
    default: "low"
  items:
    description: "What. Type: list, one item a line. Default: empty."
    default: ""
outputs:
  state:
    description: "How it went. Type: text."
    value: ${{ steps.work.outputs.state }}
runs:
  using: composite
  steps:
    - name: Restore
      id: restore
      uses: actions/cache/restore@27d5ce7f107fe9357f9df03efb73ab90386fccae # v5.0.5
      with:
        path: x
    - name: Work
      id: work
      shell: ${{ runner.os == 'Windows' && 'bash' || 'sh' }}
      run: |
        echo "shell-output=1" >> "$GITHUB_OUTPUT"
        sh "$GITHUB_ACTION_PATH/../scripts/run" sample
      env:
        UV_ACTIONS_MIRROR: ""
        UV_ACTIONS_SAMPLE_LEVEL: ${{ inputs.level }}
        UV_ACTIONS_SAMPLE_ITEMS: ${{ inputs.items }}
        HIT: ${{ steps.restore.outputs.cache-hit || steps.restore.outcome }}
"""
SAMPLE_TOOL = """\
parser.add_argument("--level", choices=["low", "high"], default="low")
parser.add_argument("--items", nargs="*", default=[])
os.environ.get("UV_ACTIONS_MIRROR", "")
set_outputs({"state": "fine"})
unrelated = {"other": 1}
"""


@pytest.fixture
def sample_scripts(tmp_path: Path) -> Path:
    (tmp_path / "sample.py").write_text(SAMPLE_TOOL, encoding="utf-8")
    return tmp_path


def test_guard_finds_nothing_in_a_right_action(sample_scripts: Path) -> None:
    assert action_guard.find(RIGHT, sample_scripts) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("# Permissions: none.\n", "", "the header comment doesn't say `Permissions:`"),
        ("# Nested: 27d5", "# Nested: 0000", "the header comment doesn't say `27d5"),
        (
            "actions/cache/restore@27d5",
            "actions/cache@27d5",
            "isn't among the nested actions known to have no post step",
        ),
        ("fccae # v5", "fccad # v5", "isn't among the nested actions"),
        (
            "actions/cache/restore@27d5ce7f107fe9357f9df03efb73ab90386fccae",
            "./other",
            "`./other` isn't among the nested",
        ),
        (" # v5.0.5", "", "isn't followed by `# v5.0.5`"),
        ("# v5.0.5", "# v5.0.6", "isn't followed by `# v5.0.5`"),
        ("run: |\n", "run: |\n        echo ${{ inputs.level }}\n", "has an expression in its `run`"),
        ("      shell: ${{ runner.os == 'Windows' && 'bash' || 'sh' }}\n", "", "must have `shell:"),
        ("shell: ${{ runner.os == 'Windows' && 'bash' || 'sh' }}", "shell: bash", "must have `shell:"),
        ("    - name: Work\n      id: work\n", "    - id: work\n", "step `work` has no name"),
        ('run" sample', 'run" sampel', "runs `sampel`, which doesn't exist"),
        (
            "steps.work.outputs.state",
            "steps.work.outputs.sate",
            "output `state`: `steps.work.outputs.sate` is never set",
        ),
        ("steps.work.outputs.state", "steps.work.outputs.other", "`steps.work.outputs.other` is never set"),
        ("steps.work.outputs.state", "steps.wrok.outputs.state", "`steps.wrok` is no earlier step"),
        ("${{ steps.work.outputs.state }}", "fine", "output `state` comes from no step"),
        ("outputs.cache-hit", "outputs.cache-hits", "`steps.restore.outputs.cache-hits` is never set"),
        ("outputs.cache-hit", "outputs['cache-hit'] || steps['restore']", "which this guard can follow"),
        ("        path: x\n", "        path: ${{ steps.work.outputs.state }}\n", "`steps.work` is no earlier step"),
        ("      id: work\n", "      id: work\n      if: steps.wrok.outputs.state\n", "`steps.wrok` is no earlier step"),
        ("      id: work\n", "      id: restore\n", "the id `restore` is given twice"),
        ('MIRROR: ""', "MIRROR: ${{ secrets.MIRROR }}", "an action can't see `secrets`"),
        ("LEVEL: ${{ inputs.level }}", "LEVEL: low", "input `level` is never used"),
        ("inputs.level", "inputs.levle", "`inputs.levle` is no input"),
        ("Type: choice. ", "", "input `level`: the description states no type"),
        ("Allowed: `low` (a bit), `high`. ", "", "of a choice states no allowed values"),
        ("`high`. Default", "`highest`. Default", "allows ['highest', 'low'], sample allows ['high', 'low']"),
        ("Default: `low`", "", "the description doesn't state its default, `low`"),
        ("Default: `low`", "Default: `high`", "the description doesn't state its default, `low`"),
        ('Default: `low`"\n    default: "low"', 'Default: `high`"\n    default: "high"', "in sample it is 'low'"),
        ('    default: ""\n', "", "input `items` has no default in quotes"),
        ('    default: ""\n', '    default: ""\n    required: true\n', "input `items` is required"),
        ("How it went. Type: text.", "How it went.", "output `state`: the description states no type"),
        ("UV_ACTIONS_SAMPLE_ITEMS", "UV_ACTIONS_SAMPLE_ITEM", "nothing reads `UV_ACTIONS_SAMPLE_ITEM`"),
        ("UV_ACTIONS_MIRROR", "UV_ACTIONS_MIROR", "nothing reads `UV_ACTIONS_MIROR`"),
    ],
)
def test_guard_finds(old: str, new: str, finding: str, sample_scripts: Path) -> None:
    assert old in RIGHT
    findings = action_guard.find(RIGHT.replace(old, new), sample_scripts)
    assert any(finding in each for each in findings), findings


def test_guard_knows_what_shell_and_fields_set(sample_scripts: Path) -> None:
    by_shell = RIGHT.replace("steps.work.outputs.state", "steps.work.outputs.shell-output")
    assert action_guard.find(by_shell, sample_scripts) == []
    fields = "class Result:\n    state: str\n\nset_outputs(asdict(result))\n"
    (sample_scripts / "sample.py").write_text(SAMPLE_TOOL.replace('set_outputs({"state": "fine"})\n', fields))
    assert action_guard.find(RIGHT, sample_scripts) == []


def bodies() -> list[tuple[str, str]]:
    """The shell code in the actions, with a name for each piece."""
    found = []
    for path in ACTIONS:
        steps: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["runs"]["steps"]
        found += [(f"{path.parent.name}-{i}.sh", step["run"]) for i, step in enumerate(steps, 1) if "run" in step]
    return found


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The shell code in the actions, as files."""
    folder = tmp_path_factory.mktemp("bodies")
    for name, body in bodies():
        (folder / name).write_text(f"#!/bin/sh -e\n{body}", encoding="utf-8", newline="\n")
    return sorted(folder.iterdir())


# ---------------------------------------------------------------------------------------------------------------------
# Linters


@pytest.fixture
def actionlint() -> Path:
    return engine.actionlint()


def test_workflows_with_actionlint(actionlint: Path, release: Path, tmp_path: Path) -> None:
    # actionlint passes over local actions that it can't see, so the tree lies where the workflows build it.
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    shutil.copytree(release, tmp_path / ".release")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    shellcheck = Path(sysconfig.get_path("scripts"), "shellcheck")
    check(actionlint, "-color=false", f"-shellcheck={shellcheck}", "-pyflakes=", cwd=tmp_path)
    # It does see them: an input that no action has is found.
    workflow = tmp_path / ".github/workflows/ci.yml"
    text = workflow.read_text(encoding="utf-8")
    workflow.write_text(text.replace("          python-version:", "          pyton-version:"), encoding="utf-8")
    done = subprocess.run([actionlint], check=False, cwd=tmp_path, capture_output=True, text=True)
    assert 'input "pyton-version" is not defined in action' in done.stdout


def test_workflows_and_actions_with_zizmor() -> None:
    check(
        "zizmor",
        "--offline",
        "--no-progress",
        "--strict-collection",
        "--persona=auditor",
        "--config=.github/zizmor.yml",
        ".github",
        "actions",
    )


@pytest.mark.parametrize(
    ("schema", "paths"),
    [
        ("vendor.github-actions", ACTIONS),
        ("vendor.github-workflows", WORKFLOWS),
        ("vendor.dependabot", [ROOT / ".github/dependabot.yml"]),
    ],
    ids=["actions", "workflows", "dependabot"],
)
def test_schema(schema: str, paths: list[Path]) -> None:
    check("check-jsonschema", "--builtin-schema", schema, *paths)


@pytest.mark.parametrize("path", WORKFLOWS, ids=named)
def test_workflow_pins_every_action_with_its_version(path: Path) -> None:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if re.match(r"\s*(- )?uses:", line)]
    assert lines
    pinned = re.compile(r"\s*(- )?uses: (\./\S+|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)")
    assert [line for line in lines if not pinned.fullmatch(line)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=named)
def test_workflow_has_no_expression_in_a_script(path: Path) -> None:
    jobs: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    bodies = [step["run"] for job in jobs.values() for step in job.get("steps", []) if "run" in step]
    assert [body for body in bodies if "${{" in body] == []


def test_shell_files_are_seen() -> None:
    names = {named(path) for path in SHELL_FILES}
    assert {"scripts/run", "scripts/install_uv.sh", "tests/run", "tests/demo", ".ci/run"} <= names


def test_shellcheck() -> None:
    check("shellcheck", "--shell=sh", "--severity=style", *SHELL_FILES)


def test_shellcheck_of_the_actions_bodies(extracted: list[Path]) -> None:
    # SC1003 guesses that the backslash of `tr '\\\\' /`, a Windows path's, is a quote's.
    check("shellcheck", "--shell=sh", "--severity=style", "--exclude=SC1003", *extracted)


@pytest.mark.parametrize("shell", [("dash",), ("busybox", "sh")], ids=" ".join)
def test_shell_parses_all_code(shell: tuple[str, ...], extracted: list[Path]) -> None:
    for path in (*SHELL_FILES, *extracted):
        check(*shell, "-n", path)


def test_ruff() -> None:
    check("ruff", "check", "scripts", "tests")


def test_ruff_format() -> None:
    check("ruff", "format", "--check", "--diff", "scripts", "tests")


@pytest.mark.parametrize(("folder", "python"), [("scripts", "3.10"), ("scripts", "3.14"), ("tests", "3.11")])
def test_types(folder: str, python: str) -> None:
    check("ty", "check", "--project=tests", f"--python={sys.executable}", f"--python-version={python}", folder)


# ---------------------------------------------------------------------------------------------------------------------
# Files


def test_no_file_has_carriage_returns() -> None:
    assert [named(path) for path in FILES if b"\r\n" in path.read_bytes()] == []


@pytest.mark.parametrize("path", TOOLS, ids=named)
def test_tool_has_its_form(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(SHEBANG)
    assert text.endswith('if __name__ == "__main__":\n    run_main(main)\n')
    assert path.with_name(f"{path.name}.lock").exists()
    assert path.stat().st_mode & stat.S_IXUSR


@pytest.mark.parametrize("path", SHELL_FILES, ids=named)
def test_shell_file_is_executable_unless_it_is_sourced(path: Path) -> None:
    assert bool(path.stat().st_mode & stat.S_IXUSR) == path.read_bytes().startswith(b"#!")
