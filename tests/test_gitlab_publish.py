"""From a tag to an index by the templates `build` and `publish` on GitLab."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engines.gitlab import Gitlab, Pipeline, Situation
from services.index import PASSWORD, USERNAME, Index, serve
from services.oidc import AUDIENCE, Oidc

Project = Callable[[str], Path]

FILES = ["app-1.2.3-py3-none-any.whl", "app-1.2.3.tar.gz"]
TAG = Situation(tag="v1.2.3")
JOB_TOKEN = "glcbt-64_job-token-of-this-job"


def options(index: Index) -> dict[str, str]:
    return {
        "publish-url": index.upload_url,
        "check-url": index.url,
        "username": USERNAME,
        "password-env": "INDEX_PASSWORD",
    }


def run(gitlab: Gitlab, project: Path, inputs: dict[str, Any], *, jobs: Any = None, **more: Any) -> Pipeline:
    """A pipeline for a tag that builds and publishes."""
    config = {"include": [gitlab.include("build"), gitlab.include("publish", inputs)], **(jobs or {})}
    more.setdefault("situation", TAG)
    more.setdefault("variables", {"INDEX_PASSWORD": PASSWORD})
    return gitlab.run(project, config, **more)


def test_a_release_is_published_once(gitlab: Gitlab, project: Project, index: Index) -> None:
    app = project("app")
    first = run(gitlab, app, options(index), image="slim")
    assert first.ok, first.log
    build, publish = first.job("uv-build"), first.job("uv-publish")
    assert sorted(path.name for path in (build.artifacts / "dist").glob("app-*")) == FILES
    assert build.dotenv["UV_ACTIONS_BUILD_VERSION"] == "1.2.3"
    assert build.dotenv["UV_ACTIONS_BUILD_FILES"].split() == FILES
    assert publish.dotenv["UV_ACTIONS_PUBLISH_PUBLISHED"] == "2"
    assert index.files() == FILES
    assert PASSWORD not in first.log

    uploads = len(index.uploads)
    second = run(gitlab, app, options(index), image="alpine")
    assert second.ok, second.log
    told = second.job("uv-publish").dotenv
    assert (told["UV_ACTIONS_PUBLISH_PUBLISHED"], told["UV_ACTIONS_PUBLISH_SKIPPED"]) == ("0", "2")
    assert len(index.uploads) == uploads
    # The same bytes, without git in the image: the time of the commit is GitLab's variable.
    for name in FILES:
        old, new = (each.job("uv-build").artifacts / "dist" / name for each in (first, second))
        assert old.read_bytes() == new.read_bytes()


@pytest.mark.parametrize(
    ("situation", "published"),
    [(TAG, True), (Situation(tag="v1.2.3", protected=False), False), (Situation(), False)],
    ids=["protected-tag", "tag", "branch"],
)
def test_by_default_only_a_protected_tag_publishes(
    gitlab: Gitlab, project: Project, situation: Situation, published: bool
) -> None:
    job = {"script": ["true"]}
    config = {"include": [gitlab.include("publish", {"build-job": "made"})], "made": job}
    pipeline = gitlab.run(project("script"), config, situation=situation)
    assert ("uv-publish" in pipeline.jobs) == published
    assert pipeline.ok != published, "there was nothing to publish"


def test_a_wrong_password_ends_the_job_and_is_not_shown(gitlab: Gitlab, project: Project, index: Index) -> None:
    wrong = run(gitlab, project("app"), options(index), variables={"INDEX_PASSWORD": "wr0ng-s3cr3t"})
    assert wrong.job("uv-publish").exit == 4
    assert "wr0ng-s3cr3t" not in wrong.log
    assert index.files() == []


def test_a_missing_password_names_the_variable(gitlab: Gitlab, project: Project, index: Index) -> None:
    config = {
        "include": [gitlab.include("publish", {**options(index), "build-job": "made"})],
        "made": {"script": ["true"]},
    }
    job = gitlab.run(project("script"), config, situation=TAG).job("uv-publish")
    assert job.exit == 2
    assert "the variable INDEX_PASSWORD, which `password-env` names, is not set" in job.log


def test_neither_variables_nor_an_earlier_job_move_the_upload(gitlab: Gitlab, project: Project, index: Index) -> None:
    names = ("UV_PUBLISH_URL", "UV_DEFAULT_INDEX", "UV_ACTIONS_PUBLISH_PUBLISH_URL", "UV_ACTIONS_PUBLISH_CHECK_URL")
    foreign = dict.fromkeys(names, "http://127.0.0.1:9/")
    told = {
        "told": {
            "stage": "deploy",
            "needs": ["uv-build"],
            "script": [f"echo {name}={value} >> told.env" for name, value in foreign.items()],
            "artifacts": {"paths": ["dist/", ".uv-actions/sha256"], "reports": {"dotenv": "told.env"}},
        }
    }
    inputs = {**options(index), "build-job": "told"}
    pipeline = run(gitlab, project("app"), inputs, jobs=told, variables={"INDEX_PASSWORD": PASSWORD, **foreign})
    assert pipeline.job("told").dotenv == foreign
    assert pipeline.job("uv-publish").ok, pipeline.log
    assert index.files() == FILES


def test_only_what_was_built_is_published(gitlab: Gitlab, project: Project, index: Index) -> None:
    """A job that changes the files after the build stands in for a store of artifacts that somebody writes to."""
    changed = {
        "changed": {
            "stage": "deploy",
            "needs": ["uv-build"],
            "script": ["printf more >> dist/app-1.2.3.tar.gz"],
            "artifacts": {"paths": ["dist/", ".uv-actions/sha256"]},
        }
    }
    pipeline = run(gitlab, project("app"), {**options(index), "build-job": "changed"}, jobs=changed)
    assert pipeline.job("uv-publish").exit == 3
    assert "app-1.2.3.tar.gz" in pipeline.job("uv-publish").log
    assert index.files() == []


def test_the_projects_own_registry_takes_the_jobs_token(gitlab: Gitlab, project: Project, index: Index) -> None:
    """The index stands in for GitLab's registry: it knows the job's token, and answers below the project's path."""
    index.username, index.password = "gitlab-ci-token", JOB_TOKEN

    def registry(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        path = environ["PATH_INFO"].removeprefix("/api/v4/projects/1217/packages/pypi")
        return index.app({**environ, "PATH_INFO": path or "/"}, start_response)

    app = project("app")
    with serve(registry) as url:
        variables = {"CI_API_V4_URL": f"{url}/api/v4"}
        pipelines = [run(gitlab, app, {"registry": "true"}, variables=variables) for _ in range(2)]
        both = run(gitlab, app, {"registry": "true", "index": "private"}, variables=variables)
    assert [each.job("uv-publish").dotenv["UV_ACTIONS_PUBLISH_PUBLISHED"] for each in pipelines] == ["2", "0"]
    assert index.files() == FILES
    assert {each.username for each in index.uploads} == {"gitlab-ci-token"}
    assert not any(JOB_TOKEN in each.log for each in pipelines)
    assert both.job("uv-publish").exit == 2
    assert "`registry: true` says where and as whom to publish" in both.job("uv-publish").log


def test_the_jobs_identity_is_enough(gitlab: Gitlab, project: Project, index: Index, oidc: Oidc) -> None:
    """The issuer and the index's endpoints are stand-ins, as GitLab.com and PyPI can't be had here."""
    environment = oidc.gitlab_env
    token = environment.pop(f"{AUDIENCE.upper().replace('-', '_')}_ID_TOKEN")
    app = project("app")
    trusted = run(
        gitlab,
        app,
        {"publish-url": oidc.publish_url, "aud": AUDIENCE},
        variables=environment,
        id_token={AUDIENCE: token}.__getitem__,
    )
    assert trusted.job("uv-publish").ok, trusted.log
    assert index.files() == FILES
    assert token not in trusted.log
