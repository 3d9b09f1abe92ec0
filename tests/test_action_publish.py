"""What a job gets from `publish` on GitHub, and from `build` and `publish` in one after the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributions import sdist, wheel
from engines.github import Github
from services.index import PASSWORD, USERNAME, Index
from services.oidc import Oidc

Project = Callable[[str], Path]
Commit = Callable[[Path], None]

FILES = ["app-0.1.0-py3-none-any.whl", "app-0.1.0.tar.gz"]


def publish(step: str = "publish", **inputs: str) -> dict[str, Any]:
    given = {name.replace("_", "-"): value for name, value in inputs.items()}
    return {"id": step, "uses": "org/uv-actions/publish@v1", "with": given}


def by_password(index: Index, **more: str) -> dict[str, str]:
    return {
        "publish_url": index.upload_url,
        "check_url": index.url,
        "username": USERNAME,
        "password": "${{ secrets.INDEX_PASSWORD }}",
        **more,
    }


WHAT_WAS_BUILT = {"dist": "${{ steps.build.outputs.dist }}", "sha256": "${{ steps.build.outputs.sha256 }}"}
SECRETS = {"INDEX_PASSWORD": PASSWORD}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder outside the checkout, as an artifact that was downloaded: one release of a project."""
    folder = tmp_path / "built before"
    wheel(folder)
    sdist(folder)
    return folder


def test_what_build_made_is_published_once(github: Github, project: Project, index: Index) -> None:
    steps = [
        {"id": "build", "uses": "org/uv-actions/build@v1"},
        publish("first", **WHAT_WAS_BUILT, **by_password(index)),
        publish("second", **WHAT_WAS_BUILT, **by_password(index)),
    ]
    run = github.run(project("app"), steps, secrets=SECRETS, timeout=240)
    assert run.ok, run.log
    page = f"{index.url}app/"
    assert run.outputs["first"] == {"published": "2", "skipped": "0", "url": page}
    assert run.outputs["second"] == {"published": "0", "skipped": "2", "url": page}
    assert index.files() == ["app-1.2.3-py3-none-any.whl", "app-1.2.3.tar.gz"]
    assert len(index.uploads) == 2
    assert "### Publish: published 2, skipped 0" in run.summary
    assert "already there" in run.summary
    assert PASSWORD not in run.log + run.summary


def test_a_file_that_was_swapped_after_the_build(github: Github, project: Project, index: Index) -> None:
    steps = [
        {"id": "build", "uses": "org/uv-actions/build@v1"},
        {"run": 'echo >> "$DIST/app-1.2.3.tar.gz"', "env": {"DIST": "${{ steps.build.outputs.dist }}"}},
        publish(**WHAT_WAS_BUILT, **by_password(index)),
    ]
    run = github.run(project("app"), steps, secrets=SECRETS, timeout=240)
    assert not run.ok
    error = next(each for each in run.annotations if each.title == "publish: not what was built")
    assert "app-1.2.3.tar.gz has other content" in error.message
    assert index.requests == []


def test_no_checkout_is_needed(github: Github, project: Project, index: Index, built: Path) -> None:
    run = github.run(
        project("script"), [publish(dist=str(built), **by_password(index))], secrets=SECRETS, checkout=False
    )
    assert run.ok, run.log
    assert index.files() == FILES


def test_an_index_of_a_project_in_a_monorepo(
    github: Github, project: Project, index: Index, commit_all: Commit
) -> None:
    repository = project("script")
    member = repository / "packages" / "my app"
    member.mkdir(parents=True)
    (member / "pyproject.toml").write_text(
        '[project]\nname = "app"\nversion = "0.1.0"\nrequires-python = ">=3.10"\n'
        f'[[tool.uv.index]]\nname = "corp"\nurl = "{index.url}"\npublish-url = "{index.upload_url}"\n'
    )
    wheel(member / "dist")
    commit_all(repository)
    inputs = {"working_directory": "packages/my app", "index": "corp", "username": USERNAME}
    run = github.run(repository, [publish(password="${{ secrets.INDEX_PASSWORD }}", **inputs)], secrets=SECRETS)
    assert run.ok, run.log
    assert index.files() == [FILES[0]]


def test_a_uv_that_someone_left_on_the_machine_is_not_used(
    github: Github, project: Project, index: Index, built: Path, tmp_path: Path
) -> None:
    planted = tmp_path / "planted"
    planted.mkdir()
    (planted / "uv").write_text(f"#!/bin/sh\ntouch '{planted}/ran'\nexit 0\n")
    (planted / "uv").chmod(0o755)
    run = github.run(
        project("script"), [publish(dist=str(built), **by_password(index))], secrets=SECRETS, path=[planted]
    )
    assert run.ok, run.log
    assert index.files() == FILES
    assert not (planted / "ran").exists()


def test_trusted_publishing(github: Github, project: Project, oidc: Oidc, built: Path) -> None:
    run = github.run(project("script"), [publish(dist=str(built), publish_url=oidc.publish_url)], env=oidc.env)
    assert run.ok, run.log
    assert run.outputs["publish"]["published"] == "2"
    assert [upload.username for upload in oidc.index.uploads] == ["__token__", "__token__"]
    assert oidc.burned == oidc.minted
    assert len(oidc.minted) == 1
    assert oidc.minted[0] not in run.log + run.summary


def test_claims_that_the_index_refuses_are_shown(github: Github, project: Project, oidc: Oidc, built: Path) -> None:
    oidc.publisher["repository"] = "acme/another"
    run = github.run(project("script"), [publish(dist=str(built), publish_url=oidc.publish_url)], env=oidc.env)
    assert not run.ok
    error = next(each for each in run.annotations if each.title == "publish: claims refused")
    assert error.level == "error"
    assert "repository: acme/app" in error.message
    assert "invalid-publisher" in run.summary
    assert oidc.index.uploads == []


def test_a_pull_request_from_a_fork(github: Github, project: Project, oidc: Oidc, built: Path) -> None:
    run = github.run(
        project("script"),
        [publish(dist=str(built), publish_url=oidc.publish_url)],
        event="pull_request",
        payload={"pull_request": {"head": {"repo": {"full_name": "stranger/project"}}}},
        env=oidc.trust,
    )
    assert not run.ok
    assert [each.title for each in run.annotations if each.level == "error"] == ["publish: pull request from a fork"]


def test_a_tag_that_is_not_the_version(github: Github, project: Project, index: Index, built: Path) -> None:
    steps = [publish(dist=str(built), **by_password(index))]
    run = github.run(project("script"), steps, secrets=SECRETS, ref="refs/tags/v0.2.0")
    assert not run.ok
    assert "the tag 'v0.2.0'" in run.messages("error")[0]
    assert index.uploads == []


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ({"dry_run": "yes"}, ("dry-run",)),
        ({"trusted_publishing": "maybe"}, ("trusted-publishing", "auto, always, never")),
        ({"trusted_publishing": "always", "password": "x"}, ("password", "trusted-publishing: always")),
        ({"trusted_publishing": "never"}, ("trusted-publishing", "password")),
        ({"working_directory": "nowhere", "password": "x"}, ("working-directory",)),
        ({"dist": "nowhere", "password": "x"}, ("dist", "build")),
    ],
)
def test_wrong_inputs_are_named(
    github: Github, project: Project, inputs: dict[str, str], named: tuple[str, ...]
) -> None:
    run = github.run(project("script"), [publish(**inputs)])
    assert not run.ok
    errors = run.messages("error")
    for text in named:
        assert text in errors[0]
