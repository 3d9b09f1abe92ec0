"""The components together, from setup to publish, as far from the plain case as users go."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from engines.github import Github
from services.index import PASSWORD, USERNAME, Index

FOLDER = "services/an app"
RELEASED = ["app-1.2.3-py3-none-any.whl", "app-1.2.3.tar.gz"]


def whole_way(index: Index, release: Callable[[str], str], **setup: str) -> list[dict[str, Any]]:
    """The steps; `release` says which release of the collection a component is taken from."""

    def step(component: str, **inputs: str) -> dict[str, Any]:
        given = {"working-directory": FOLDER, **inputs}
        return {"id": component, "uses": f"org/uv-actions/{component}@{release(component)}", "with": given}

    return [
        step("setup", **setup),
        step("lock-check"),
        step("test"),
        step("build"),
        step(
            "publish",
            **{
                "dist": "${{ steps.build.outputs.dist }}",
                "publish-url": index.upload_url,
                "check-url": index.url,
                "username": USERNAME,
                "password": "${{ inputs.password }}",
            },
        ),
    ]


@pytest.fixture
def monorepo(
    project: Callable[[str], Path], commit_all: Callable[[Path], None]
) -> Callable[[list[dict[str, Any]]], Path]:
    """A repository with the app in a folder with a space, and an action of its own that has the given steps."""

    def make(steps: list[dict[str, Any]]) -> Path:
        root = project("app")
        folder = root / FOLDER
        folder.mkdir(parents=True)
        for each in ("pyproject.toml", "uv.lock", "README.md", "src", "tests"):
            shutil.move(root / each, folder / each)
        outputs = {
            "passed": "${{ steps.test.outputs.passed }}",
            "state": "${{ steps.lock-check.outputs.state }}",
            "uv": "${{ steps.setup.outputs.uv-version }}",
            "published": "${{ steps.publish.outputs.published }}",
        }
        action = {
            "name": "ours",
            "description": "An action of the caller's own, with ours inside",
            "inputs": {"password": {"description": "the index's password"}},
            "outputs": {name: {"description": name, "value": value} for name, value in outputs.items()},
            "runs": {"using": "composite", "steps": steps},
        }
        (root / ".github" / "ours").mkdir(parents=True)
        (root / ".github" / "ours" / "action.yml").write_text(yaml.safe_dump(action))
        commit_all(root)
        return root

    return make


OURS = {"id": "ours", "uses": "./.github/ours", "with": {"password": "${{ secrets.INDEX_PASSWORD }}"}}


def test_inside_another_action_on_paths_with_spaces_in_a_monorepo(
    new_github: Callable[[str], Github], monorepo: Callable[[list[dict[str, Any]]], Path], index: Index
) -> None:
    root = monorepo(whole_way(index, lambda _: "v1"))
    run = new_github("my github").run(root, [OURS], secrets={"INDEX_PASSWORD": PASSWORD}, timeout=280)
    assert run.ok, run.log
    assert run.outputs["ours"]["state"] == "fresh"
    assert run.outputs["ours"]["passed"] == "2"
    assert run.outputs["ours"]["published"] == "2"
    assert index.files() == RELEASED


def test_setup_of_one_release_beside_the_others_of_the_next(
    github: Github, monorepo: Callable[[list[dict[str, Any]]], Path], index: Index, release: Path, tmp_path: Path
) -> None:
    other = tmp_path / "the next release"
    shutil.copytree(release, other)
    root = monorepo(whole_way(index, lambda component: "v1" if component == "setup" else "v2"))
    run = github.run(root, [OURS], releases={"v2": other}, secrets={"INDEX_PASSWORD": PASSWORD}, timeout=280)
    assert run.ok, run.log
    assert run.outputs["ours"]["passed"] == "2"
    assert index.files() == RELEASED


def test_with_the_oldest_uv_that_is_supported(
    github: Github, monorepo: Callable[[list[dict[str, Any]]], Path], index: Index
) -> None:
    root = monorepo(whole_way(index, lambda _: "v1", **{"uv-version": "0.8.18"}))
    env = {"UV_ACTIONS_UV_VERSION": "0.8.18"}  # for publish too, which takes no uv that is there already
    run = github.run(root, [OURS], env=env, secrets={"INDEX_PASSWORD": PASSWORD}, timeout=280)
    assert run.ok, run.log
    assert run.outputs["ours"]["uv"] == "0.8.18"
    assert run.outputs["ours"]["passed"] == "2"
    assert index.files() == RELEASED


def test_without_setup_each_component_brings_what_it_needs(
    github: Github, monorepo: Callable[[list[dict[str, Any]]], Path], index: Index
) -> None:
    steps = [step for step in whole_way(index, lambda _: "v1") if step["id"] != "setup"]
    run = github.run(monorepo(steps), [OURS], secrets={"INDEX_PASSWORD": PASSWORD}, timeout=280)
    assert run.ok, run.log
    assert run.outputs["ours"]["passed"] == "2"
    assert index.files() == RELEASED
