"""The build action on its engine."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engines.github import Github

BUILD: dict[str, Any] = {"id": "build", "uses": "org/uv-actions/build@v1"}

# What a later step sees of the folder, by the output alone.
LOOK = {
    "id": "look",
    "shell": "sh",
    "env": {"DIST": "${{ steps.build.outputs.dist }}", "SUMS": "${{ steps.build.outputs.sha256 }}"},
    "run": 'cd "$DIST"; echo "$SUMS" | sha256sum --check; echo "tree=$(git status --porcelain)" >> "$GITHUB_OUTPUT"',
}


def commit(folder: Path) -> None:
    """Commits what has changed."""
    identity = ["-c", "user.name=ci", "-c", "user.email=ci@example.org"]
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    subprocess.run(["git", *identity, "commit", "-q", "-m", "change"], cwd=folder, check=True)


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_project_is_built_and_checked(github: Github, project: Callable[[str], Path]) -> None:
    app = project("app")

    first = github.run(app, [BUILD, LOOK])
    second = github.run(app, [BUILD])

    assert first.ok, first.log
    outputs = first.outputs["build"]
    assert set(outputs) == {"dist", "version", "files", "sha256"}
    assert outputs["version"] == "1.2.3"
    assert outputs["files"].splitlines() == ["app-1.2.3-py3-none-any.whl", "app-1.2.3.tar.gz"]
    assert Path(outputs["dist"]).is_absolute()
    for line in outputs["sha256"].splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((first.workspace / "dist" / name).read_bytes()).hexdigest() == digest
    assert first.outputs["look"]["tree"] == ""
    assert "### Build: app 1.2.3" in first.summary
    assert "app/\n  __init__.py" in first.summary
    assert not first.messages("error") + first.messages("warning")
    assert not (first.workspace / ".venv").exists()
    assert second.outputs["build"]["sha256"] == outputs["sha256"]


def test_the_packages_of_a_workspace_from_a_folder_inside_of_it(
    github: Github, project: Callable[[str], Path], commit_all: Callable[[Path], None], tmp_path: Path
) -> None:
    workspace = project("workspace")
    repository = tmp_path / "mono repo"
    repository.mkdir()
    workspace.rename(repository / "python")
    (repository / "python" / ".git").rename(repository / ".git")
    commit_all(repository)

    run = github.run(repository, [{**BUILD, "with": {"working-directory": "python", "all-packages": "true"}}, LOOK])

    assert run.ok, run.log
    packages = {"acme-api": "2.0.0", "acme-core": "0.3.0", "acme-worker": "2.1.0"}
    versions = run.outputs["build"]["version"].splitlines()
    assert sorted(versions) == [f"{name}=={version}" for name, version in packages.items()]
    assert run.outputs["build"]["dist"].endswith("/python/dist")


def test_it_comes_from_inside_another_action(
    github: Github, project: Callable[[str], Path], commit_all: Callable[[Path], None]
) -> None:
    app = project("app")
    action = app / ".github" / "actions" / "package" / "action.yml"
    action.parent.mkdir(parents=True)
    action.write_text(
        "name: package\ndescription: Builds\n"
        'outputs: {version: {description: It, value: "${{ steps.it.outputs.version }}"}}\n'
        "runs:\n  using: composite\n  steps:\n    - {id: it, uses: org/uv-actions/build@v1}\n"
    )
    commit_all(app)

    run = github.run(app, [{"id": "outer", "uses": "./.github/actions/package"}])

    assert run.ok, run.log
    assert run.outputs["outer"]["version"] == "1.2.3"


def test_a_failing_backend_says_its_phase_and_shows_its_output(github: Github, project: Callable[[str], Path]) -> None:
    app = project("app")
    replace(app / "pyproject.toml", 'build-backend = "uv_build"', 'build-backend = "backend"\nbackend-path = ["."]')
    (app / "backend.py").write_text(
        'from uv_build import build_sdist\n\ndef build_wheel(*_, **__):\n    raise SystemExit("no wheel today")\n'
    )
    with (app / "pyproject.toml").open("a") as file:
        file.write('[tool.uv.build-backend]\nsource-include = ["backend.py"]\n')
    commit(app)

    run = github.run(app, [BUILD])

    assert not run.ok
    assert [(each.title, each.message.split(":")[0]) for each in run.annotations if each.level == "error"] == [
        ("build", "the wheel of `app` couldn't be built")
    ]
    assert "no wheel today" in run.messages("error")[0]
    assert not (run.workspace / "dist").exists()


@pytest.mark.parametrize(
    ("inputs", "what"),
    [
        ({"all-packages": "yes"}, "`all-packages` is 'yes'"),
        ({"sources": "1"}, "`sources` is '1'"),
        ({"package": "ap"}, "the nearest is `app`"),
        ({"working-directory": "no/where"}, "correct `working-directory`"),
    ],
)
def test_a_wrong_input_is_named(
    github: Github, project: Callable[[str], Path], inputs: dict[str, str], what: str
) -> None:
    run = github.run(project("app"), [{**BUILD, "with": inputs}])

    assert not run.ok
    assert [what in message for message in run.messages("error")] == [True]


def test_findings_of_the_checks_fail_the_step_on_the_line_to_mend(
    github: Github, project: Callable[[str], Path], commit_all: Callable[[Path], None], tmp_path: Path
) -> None:
    repository = tmp_path / "mono repo"
    repository.mkdir()
    app = project("app")
    app.rename(repository / "app")
    (repository / "app" / ".git").rename(repository / ".git")
    settings = repository / "app" / "pyproject.toml"
    replace(settings, 'readme = "README.md"', 'readme = "README.rst"')
    (repository / "app" / "README.rst").write_text("Title\n=====\n\n``broken\n")
    commit_all(repository)
    line = settings.read_text().splitlines().index('readme = "README.rst"') + 1

    run = github.run(repository, [{**BUILD, "with": {"working-directory": "app"}}])

    assert not run.ok
    errors = [each for each in run.annotations if each.level == "error"]
    assert [(each.file, each.line) for each in errors] == [("app/pyproject.toml", line)]
    assert "Inline literal start-string without end-string" in errors[0].message
    assert "Metadata and contents" in run.summary


def test_without_a_readme_it_warns(github: Github, project: Callable[[str], Path]) -> None:
    app = project("app")
    replace(app / "pyproject.toml", 'readme = "README.md"\n', "")
    commit(app)

    run = github.run(app, [BUILD])

    assert run.ok, run.log
    assert [each.file for each in run.annotations if each.level == "warning"] == ["pyproject.toml"]
    assert "no description" in run.messages("warning")[0]
