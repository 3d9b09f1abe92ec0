"""The ways in which a project takes the templates, and every example of their README."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engines.gitlab import SERVER, Gitlab, Situation
from services.index import Index, serve

Project = Callable[[str], Path]

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "gitlab-templates" / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def raw_files(release: Path) -> Callable[..., Any]:
    """A stand-in for what GitLab serves of a repository's files."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        file = release / "templates" / Path(environ["PATH_INFO"]).name
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [file.read_bytes()]

    return app


def integrity(file: Path) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(file.read_bytes()).digest()).decode()


@pytest.mark.parametrize("way", ["project", "local", "remote"])
def test_a_template_works_however_it_is_included(gitlab: Gitlab, project: Project, release: Path, way: str) -> None:
    template = release / "templates" / "lock-check.yml"
    inputs = {"inputs": {"fail-on": "never"}}
    files: dict[str, str | bytes] = {}
    with serve(raw_files(release)) as url:
        entry: dict[str, Any] = {
            "project": {"project": "org/uv-actions", "ref": "v1", "file": "/templates/lock-check.yml"},
            "local": {"local": "/ci/lock-check.yml"},
            "remote": {"remote": f"{url}/lock-check.yml", "integrity": integrity(template)},
        }[way]
        if way == "local":
            files["ci/lock-check.yml"] = template.read_bytes()
        pipeline = gitlab.run(project("drifted"), {"include": [{**entry, **inputs}]}, files=files)
        wrong = gitlab.run(project("app"), {"include": [{**entry, "inputs": {"fail_on": "never"}}]}, files=files)
    assert pipeline.ok, pipeline.log
    assert pipeline.job("uv-lock-check").dotenv["UV_ACTIONS_LOCK_CHECK_STATE"] == "drifted"
    assert "unknown input arguments: fail_on" in wrong.invalid


def test_a_remote_template_that_was_changed_is_refused(gitlab: Gitlab, project: Project, release: Path) -> None:
    other = integrity(release / "templates" / "test.yml")
    with serve(raw_files(release)) as url:
        entry = {"remote": f"{url}/lock-check.yml", "integrity": other}
        pipeline = gitlab.run(project("app"), {"include": [entry]})
    assert "doesn't match its integrity" in pipeline.invalid
    assert not pipeline.jobs


def test_the_whole_pipeline_of_the_readme(
    gitlab: Gitlab, project: Project, index: Index, pythons: Callable[[], dict[str, Path]]
) -> None:
    """For a tag, with the index in place of the project's registry."""
    index.username, index.password = "gitlab-ci-token", "glcbt-64_job-token-of-this-job"

    def registry(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        path = environ["PATH_INFO"].removeprefix("/api/v4/projects/1217/packages/pypi")
        return index.app({**environ, "PATH_INFO": path or "/"}, start_response)

    with serve(registry) as url:
        pipeline = gitlab.run(
            project("app"),
            EXAMPLES[0],
            situation=Situation(tag="v1.2.3"),
            variables={"CI_API_V4_URL": f"{url}/api/v4"},
            path=[pythons()[each].parent for each in ("3.10", "3.14")],
            validate=True,
        )
    assert pipeline.ok, pipeline.log
    tests = {f"uv-test: [{version}, locked]" for version in ("3.10", "3.14")}
    assert set(pipeline.jobs) == {*tests, "uv-lock-check", "uv-build", "uv-publish"}
    assert index.files() == ["app-1.2.3-py3-none-any.whl", "app-1.2.3.tar.gz"]


@pytest.mark.parametrize("example", EXAMPLES[1:], ids=lambda each: re.findall(r"[\w-]+@v|\w+:|$", each)[1].strip("@v:"))
def test_examples_of_the_readme_are_right(gitlab: Gitlab, project: Project, release: Path, example: str) -> None:
    """They are expanded by the engine, with its checks of options and names."""
    with serve(raw_files(release)) as url:
        example = example.replace(SERVER, url).replace("VALUE", integrity(release / "templates" / "lock-check.yml")[7:])
        files = {"ci/test.yml": (release / "templates" / "test.yml").read_bytes()}
        expanded = gitlab.preview(project("app"), example, files=files)
    jobs = {name: job for name, job in expanded.items() if isinstance(job, dict) and "script" in job}
    assert jobs
    for name in re.findall(r"^([a-z][\w-]*):(?= *\n  )|job-name: ([^.\n]+)$", example, re.MULTILINE):
        assert set(filter(None, name)) <= {*jobs, "include"}


def test_a_change_of_a_readmes_option_name_would_be_seen(gitlab: Gitlab, project: Project) -> None:
    with pytest.raises(ValueError, match="unknown input arguments: python-version"):
        gitlab.preview(project("app"), EXAMPLES[0].replace("python-versions", "python-version"))


def test_what_the_readme_says_of_files_is_there(release: Path) -> None:
    names = {path.stem for path in (release / "templates").glob("*.yml")}
    assert names == {"setup", "cache", "lock-check", "test", "build", "publish"}
    assert {f"### {name}" for name in names} <= set(README.splitlines())
