"""The READMEs say what is so: their examples run, and their tables come from the parts themselves."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from _common import Exit
from engines.actionlint import actionlint
from engines.buildkite import Buildkite
from engines.github import Github
from engines.gitlab import Gitlab
from engines.jenkins import Jenkins

ROOT = Path(__file__).resolve().parents[1]
READMES = [ROOT / "README.md", ROOT / "scripts" / "README.md", *sorted((ROOT / "actions").glob("*/README.md"))]
ACTIONS = {path.parent.name: yaml.safe_load(path.read_text()) for path in (ROOT / "actions").glob("*/action.yml")}

# What an example needs beyond this machine: other people's actions, an index that trusts GitHub, secrets.
NOT_RUN = ("publish",)


def blocks(readme: Path, language: str) -> list[str]:
    """The fenced examples of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", readme.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def steps_in(document: Any) -> list[dict[str, Any]]:
    """The steps of a workflow, or of a piece of one."""
    if "steps" in document:
        return document["steps"]
    return [step for job in document.get("jobs", {}).values() for step in job.get("steps", [])]


OTHER_PLATFORMS = ("# .gitlab-ci.yml\n", "# .buildkite/pipeline.yml\n")
EXAMPLES = [
    (path, yaml.safe_load(block))
    for path in READMES
    for block in blocks(path, "yaml")
    if not block.startswith(OTHER_PLATFORMS)
]
WITH_STEPS = [(path, document) for path, document in EXAMPLES if steps_in(document)]


def test_every_component_has_a_page_with_an_example() -> None:
    shown = {path.parent.name for path, document in WITH_STEPS if path.parent.name in ACTIONS}
    assert shown == set(ACTIONS)


@pytest.mark.parametrize(
    ("path", "document"), WITH_STEPS, ids=lambda value: named(value) if isinstance(value, Path) else ""
)
def test_an_example_uses_what_there_is(path: Path, document: dict[str, Any]) -> None:
    for step in steps_in(document):
        if "uses" not in step:
            continue
        name, _, ref = step["uses"].partition("@")
        if name.startswith("org/uv-actions/"):
            action = ACTIONS[name.rpartition("/")[2]]
            assert set(step.get("with", {})) <= set(action["inputs"]), step
            required = {key for key, each in action["inputs"].items() if each.get("required")}
            assert required <= set(step.get("with", {})), step
        else:
            assert re.fullmatch(r"[0-9a-f]{40}", ref), step
            assert re.search(rf"{ref} # v[0-9.]+", path.read_text(encoding="utf-8")), "a pin says its version"


def test_the_workflows_of_the_pages_pass_actionlint(tmp_path: Path) -> None:
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    workflows = [document for _, document in EXAMPLES if "jobs" in document]
    assert workflows
    for number, document in enumerate(workflows):
        # YAML 1.1 reads `on` as true.
        (folder / f"{number}.yml").write_text(yaml.safe_dump({"on": document.pop(True), **document}))
    result = subprocess.run(
        [actionlint(), *sorted(folder.glob("*.yml"))], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout


RUNNABLE = [each for each in WITH_STEPS if each[0].parent.name not in NOT_RUN]


@pytest.mark.parametrize(
    ("path", "document"), RUNNABLE, ids=lambda value: named(value) if isinstance(value, Path) else ""
)
def test_an_example_runs(
    path: Path,
    document: dict[str, Any],
    github: Github,
    project: Callable[[str], Path],
    commit_all: Callable[[Path], None],
) -> None:
    app = project("app")
    pyproject = app / "pyproject.toml"
    # The groups that the examples name.
    pyproject.write_text(
        pyproject.read_text().replace("[dependency-groups]", "[dependency-groups]\ndocs = []\nlint = []")
    )
    subprocess.run(["uv", "lock", "--quiet"], cwd=app, check=True)
    commit_all(app)
    for step in steps_in(document):
        if step.get("uses", "").startswith("actions/upload-artifact@"):
            step.clear()
            step["run"] = "true"  # it isn't ours, and it can't be fetched here
    job = {"steps": steps_in(document), **({"strategy": document["strategy"]} if "strategy" in document else {})}
    run = github.run(app, workflow={"jobs": {"job": job}}, timeout=240)
    assert run.ok, f"{named(path)}: {run.log}"


def of_platform(first_line: str, language: str) -> str:
    """The root page's example for another platform."""
    [example] = [each for each in blocks(ROOT / "README.md", language) if each.startswith(first_line)]
    return example


def test_the_example_for_gitlab_runs(gitlab: Gitlab, project: Callable[[str], Path]) -> None:
    pipeline = gitlab.run(project("app"), yaml.safe_load(of_platform("# .gitlab-ci.yml", "yaml")))
    assert pipeline.ok, pipeline.log
    assert pipeline.job("uv-test").dotenv["UV_ACTIONS_TEST_PASSED"] == "2"
    assert "app-1.2.3.tar.gz" in pipeline.job("uv-build").dotenv["UV_ACTIONS_BUILD_FILES"]


def test_the_example_for_jenkins_runs(jenkins: Jenkins, project: Callable[[str], Path]) -> None:
    run = jenkins.run(project("app"), of_platform("// Jenkinsfile", "groovy"))
    assert run.ok, run.log
    assert "app-1.2.3.tar.gz" in run.log
    assert "2 passed" in run.log


def test_the_example_for_buildkite_runs(buildkite: Buildkite, project: Callable[[str], Path]) -> None:
    text = of_platform("# .buildkite/pipeline.yml", "yaml")
    run = buildkite.run(
        project("app"), text.replace("https://github.com/org/uv-actions.git", f"file://{buildkite.plugins}")
    )
    assert run.ok, run.log
    assert run.jobs[0].env["UV_ACTIONS_TEST_PASSED"] == "2"
    assert "app-1.2.3.tar.gz" in run.jobs[1].env["UV_ACTIONS_BUILD_FILES"]


def test_the_commands_of_the_pages_run(project: Callable[[str], Path]) -> None:
    commands = [line.partition("#")[0].strip() for path in READMES for line in "".join(blocks(path, "sh")).splitlines()]
    tools = [command for command in commands if "scripts/" in command]
    assert tools
    app = project("app")
    (app / "scripts").symlink_to(ROOT / "scripts")
    for command in tools:
        result = subprocess.run(command, shell=True, cwd=app, capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{command}: {result.stderr}"
    for command in set(commands) - set(tools):
        assert (ROOT / command.split()[1]).is_file(), command


def test_references_are_what_the_parts_say() -> None:
    result = subprocess.run(
        ["sh", ROOT / "scripts" / "run", "update_reference", "--check"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_the_table_of_tools_has_every_tool_for_people() -> None:
    listed = subprocess.run(["sh", ROOT / "scripts" / "run"], capture_output=True, text=True, check=True).stdout
    for_people = re.findall(r"^  (\w+)  ", listed, re.MULTILINE)
    assert for_people
    page = (ROOT / "README.md").read_text()
    for tool in for_people:
        assert f"`sh scripts/run {tool}`" in page


def test_the_table_of_exit_codes_is_the_one_of_the_tools() -> None:
    page = (ROOT / "scripts" / "README.md").read_text()
    assert [int(code) for code in re.findall(r"^\| (\d+) \| ", page, re.MULTILINE)] == [int(code) for code in Exit]


def test_the_pages_name_the_oldest_uv_that_the_installer_takes() -> None:
    installer = (ROOT / "scripts" / "install_uv.sh").read_text()
    [oldest] = re.findall(r"^OLDEST\w*=(\S+)", installer, re.MULTILINE)
    assert f"support is {oldest}." in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("path", READMES, ids=named)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_a_stale_reference_is_told(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for part in ("actions", "scripts"):
        shutil.copytree(ROOT / part, copy / part)
    page = copy / "actions" / "setup" / "README.md"
    page.write_text(page.read_text().replace("| `sync` |", "| `sink` |"))
    result = subprocess.run(
        ["sh", copy / "scripts" / "run", "update_reference", "--check"],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, result.stderr
    assert "stale: actions/setup/README.md" in result.stderr
    assert "| `sink` |" in page.read_text(), "--check writes nothing"
