"""The GitLab engine itself: it shows what a user would see, and refuses what GitLab refuses."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from engines.gitlab import IMAGES, Gitlab, Situation

Project = Callable[[str], Path]

TEMPLATE = """\
spec:
  inputs:
    job-name:
      default: greet
    whom:
      regex: ^[a-z]+$
      default: world
    loud:
      options: ['true', 'false']
      default: 'false'
    unused:
      regex: ^x*$
      default: ''
    times:
      type: array
      default: ['1']
---
"$[[ inputs.job-name ]]":
  image: python:3-slim
  variables:
    WHOM: {value: "$[[ inputs.whom ]]", expand: false}
  script:
    - echo "hello $WHOM $[[ inputs.loud ]]"
"""


def job(*script: str, **more: Any) -> dict[str, Any]:
    return {"script": list(script), **more}


def test_a_user_sees_the_jobs_with_their_ends_and_what_they_leave(gitlab: Gitlab, project: Project) -> None:
    report = '<testsuite><testcase name="t"><failure message="no">why</failure></testcase></testsuite>'
    config = {
        "stages": ["one", "two"],
        "good": job(
            "echo A=1 > told.env; mkdir out; echo kept > out/file; echo 'covered 85.5%'",
            stage="one",
            coverage=r"/covered (\d+\.\d+)%/",
            artifacts={"paths": ["out/"], "reports": {"dotenv": "told.env"}},
        ),
        "bad": job(
            f"echo '{report}' > junit.xml; echo \"$A $(cat out/file)\"; exit 7",
            stage="two",
            artifacts={"reports": {"junit": "*.xml"}},
        ),
    }
    pipeline = gitlab.run(project("app"), config)
    assert not pipeline.ok
    good, bad = pipeline.job("good"), pipeline.job("bad")
    assert (good.status, good.coverage, good.dotenv) == ("success", "85.5", {"A": "1"})
    assert (good.artifacts / "out" / "file").read_text() == "kept\n"
    assert (bad.status, bad.exit) == ("failed", 7)
    assert "1 kept" in bad.log
    assert bad.failures() == ["t: no\nwhy"]


def with_child(**inputs: str) -> dict[str, Any]:
    """A pipeline whose child is made of the artifact of a job."""
    entry = {"artifact": "made/greet.yml", "job": "make", "inputs": inputs}
    made = job("mkdir made; cp greet.txt made/greet.yml", stage="build", artifacts={"paths": ["made/"]})
    return {"make": made, "child": {"needs": ["make"], "trigger": {"include": [entry], "strategy": "depend"}}}


def test_a_child_pipeline_is_made_of_artifacts_and_inputs(gitlab: Gitlab, project: Project) -> None:
    template = TEMPLATE + '    - test "$WHOM $CI_PIPELINE_SOURCE" = "you parent_pipeline"\n'
    pipeline = gitlab.run(project("app"), with_child(whom="you"), files={"greet.txt": template})
    assert pipeline.ok, pipeline.log
    assert set(pipeline.jobs) == {"make"}
    assert "hello you" in pipeline.children["child"].job("greet").log


@pytest.mark.parametrize("whom", ["me", "You"])
def test_a_child_pipeline_that_fails_or_is_refused_fails_its_parent(
    gitlab: Gitlab, project: Project, whom: str
) -> None:
    template = TEMPLATE + '    - test "$WHOM" = you\n'
    pipeline = gitlab.run(project("app"), with_child(whom=whom), files={"greet.txt": template})
    assert pipeline.job("make").ok
    assert not pipeline.ok
    assert bool(pipeline.children["child"].invalid) == (whom == "You")


def test_a_job_sees_what_a_runner_tells_it_and_nothing_of_this_machine(
    gitlab: Gitlab, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THIS_MACHINE", "1")
    config = {
        "tell": job(
            'echo "in $([ "$PWD" = "$CI_PROJECT_DIR" ] && echo checkout) $GITLAB_CI $CI_COMMIT_REF_NAME"',
            'echo "home $(ls -A "$HOME" | wc -l)"; echo "${OF_THIS_MACHINE-clean} ${CI_COMMIT_BRANCH-no branch}"',
            image="python:3-slim",
        )
    }
    log = gitlab.run(project("app"), config, situation=Situation(tag="v1.2.3")).job("tell").log
    assert "in checkout true v1.2.3\n" in log
    assert "home 0\nclean no branch\n" in log


@pytest.mark.parametrize("image", IMAGES)
def test_images_have_their_shells_and_programs(gitlab: Gitlab, project: Project, image: str) -> None:
    config = {
        "tell": job(
            'echo "${BASH_VERSION:+bash} $(command -v git >/dev/null && echo git)"',
            "grep -a -o 'busybox\\|dash\\|bash' /proc/$$/cmdline | head -n 1",
            "python3 --version; false; touch reached",
        )
    }
    tell = gitlab.run(project("app"), config, image=image).job("tell")
    assert tell.exit == 1
    assert not (tell.checkout / "reached").exists()
    assert "\nPython 3." in tell.log
    assert {"machine": "bash git\n", "slim": "dash\n", "alpine": "busybox\n"}[image] in tell.log


def test_an_archive_of_the_cache_is_replaced_and_protected_refs_have_their_own(
    gitlab: Gitlab, project: Project
) -> None:
    def files(number: str, **situation: Any) -> str:
        script = f"echo \"had $(ls kept 2>/dev/null | tr '\\n' ' ')\"; rm -rf kept; mkdir kept; touch kept/{number}"
        cache = {"key": "k", "paths": ["kept/"], "policy": "pull-push", "when": "always"}
        pipeline = gitlab.run(app, {"keep": job(script, cache=cache)}, situation=Situation(**situation))
        return next(line for line in pipeline.job("keep").log.splitlines() if line.startswith("had"))

    app = project("app")
    assert files("1").split() == ["had"]
    assert files("2").split() == ["had", "1"]
    assert files("3", branch="topic").split() == ["had"]
    assert files("4", merge_request=True, branch="topic").split() == ["had", "3"]
    assert files("5").split() == ["had", "2"]


@pytest.mark.parametrize(
    ("inputs", "complaint"),
    [
        ({"whom": "you"}, ""),
        ({"whoom": "you"}, "unknown input arguments: whoom"),
        ({"whom": 3.1}, "`whom` input: provided value is not a string"),
        ({"whom": "you\n"}, "`whom` input: provided value does not match required RegEx pattern"),
        ({"loud": "yes"}, "`loud` input: `yes` cannot be used because it is not in the list of allowed options"),
        ({"unused": "y"}, "`unused` input: provided value does not match"),
        ({"times": "1"}, "`times` input: provided value is not an array"),
    ],
)
def test_inputs_are_checked_as_gitlab_does(
    gitlab: Gitlab, project: Project, inputs: dict[str, Any], complaint: str
) -> None:
    config = {"include": [{"local": "ci/greet.yml", "inputs": inputs}]}
    pipeline = gitlab.run(project("app"), config, files={"ci/greet.yml": TEMPLATE}, validate=True)
    assert complaint in pipeline.invalid
    assert pipeline.ok == (not complaint)
    if not complaint:
        assert "hello you false" in pipeline.job("greet").log


def test_a_remote_file_must_have_its_integrity(gitlab: Gitlab, project: Project, tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "greet.yml").write_text(TEMPLATE, encoding="utf-8")

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "web"))

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    digest = base64.b64encode(hashlib.sha256(TEMPLATE.encode()).digest()).decode()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/greet.yml"
        good = gitlab.run(project("app"), {"include": [{"remote": url, "integrity": f"sha256-{digest}"}]})
        bad = gitlab.run(project("script"), {"include": [{"remote": url, "integrity": "sha256-" + "A" * 43 + "="}]})
        server.shutdown()
    assert "hello world false" in good.job("greet").log
    assert "doesn't match its integrity" in bad.invalid
    assert not bad.jobs


def test_an_identity_is_given_to_the_jobs_that_ask_for_one(gitlab: Gitlab, project: Project) -> None:
    config = {
        "asks": job('echo "token $PYPI_ID_TOKEN"', id_tokens={"PYPI_ID_TOKEN": {"aud": "pypi"}}),
        "other": job('echo "token ${PYPI_ID_TOKEN-none}"'),
    }
    pipeline = gitlab.run(project("app"), config, id_token=lambda audience: f"for-{audience}")
    assert "token for-pypi" in pipeline.job("asks").log
    assert "token none" in pipeline.job("other").log
