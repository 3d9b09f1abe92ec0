"""The Buildkite engine: that what it runs is the real agent, and that it shows what a user would see."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from engines.buildkite import Buildkite

Project = Callable[[str], Path]
Commit = Callable[[Path], None]


@pytest.fixture
def repository(project: Project) -> Path:
    return project("script")


def with_plugin(folder: Path, name: str, commit_all: Commit, **hooks: str) -> dict[str, None]:
    """Adds a plugin of the repository's own, and names it as a step does; `_` in a hook's name is a `-`."""
    place = folder / ".buildkite" / "plugins" / name / "hooks"
    place.mkdir(parents=True)
    for hook, text in hooks.items():
        (place / hook.replace("_", "-")).write_text(f"#!/bin/bash\n{text}\n")
    commit_all(folder)
    return {f"./.buildkite/plugins/{name}": None}


def test_it_is_the_agent_that_the_plugins_are_made_for(buildkite: Buildkite) -> None:
    told = subprocess.check_output([buildkite.agent, "--version"], text=True)
    assert told.startswith("buildkite-agent version 3.137.0")


def test_a_command_sees_the_build_and_its_output_is_the_log(buildkite: Buildkite, repository: Path) -> None:
    run = buildkite.step(
        repository,
        command='echo "$BUILDKITE_BRANCH $BUILDKITE_PULL_REQUEST $GREETING"; pwd; ls',
        env={"GREETING": "hi"},
    )
    assert run.ok, run.log
    assert "main false hi" in run.log
    assert "fetch.py.lock" in run.log
    assert (run.jobs[0].workspace / "fetch.py").is_file()
    assert run.jobs[0].env["BUILDKITE_COMMAND_EXIT_STATUS"] == "0"


def test_an_exit_code_is_the_command_s(buildkite: Buildkite, repository: Path) -> None:
    run = buildkite.step(repository, command="exit 3")
    assert not run.ok
    assert run.jobs[0].exit == 3


@pytest.mark.parametrize(
    ("situation", "seen"),
    [
        ({}, "main false -"),
        ({"branch": "feature", "pull_request": "7"}, "feature 7 -"),
        ({"tag": "v1.0"}, "v1.0 false v1.0"),
    ],
)
def test_situations(buildkite: Buildkite, repository: Path, situation: dict[str, str], seen: str) -> None:
    command = 'echo "seen: $BUILDKITE_BRANCH $BUILDKITE_PULL_REQUEST ${BUILDKITE_TAG:--}"'
    assert f"seen: {seen}\n" in buildkite.step(repository, command=command, **situation).log


def test_what_a_pipeline_says_arrives_as_it_is_written(buildkite: Buildkite, repository: Path) -> None:
    hostile = "$(touch owned) `touch owned` ${HOME} \\$HOME $$ 'q' \"d\" {{ x }} \\"
    steps = [{"command": 'printf "<%s>\\n" "$TEXT"', "env": {"TEXT": hostile}}]
    run = buildkite.run(repository, {"steps": steps})
    assert f"<{hostile}>" in run.log
    assert not (run.jobs[0].workspace / "owned").exists()


def test_a_variable_in_a_pipeline_is_replaced_by_the_agent(buildkite: Buildkite) -> None:
    text = 'steps: [{command: "x", plugins: [{"acme/x#v1": {password: "$TOKEN"}}]}]'
    step = buildkite.upload(text, {"TOKEN": "s3cret-thing"})["steps"][0]
    assert list(step["plugins"][0].values()) == [{"password": "s3cret-thing"}]
    with pytest.raises(ValueError, match="Expected identifier"):
        buildkite.upload('steps: [{command: "${{ x }}"}]')


def test_a_matrix_wait_and_depends_on(buildkite: Buildkite, repository: Path) -> None:
    pipeline = """
    steps:
      - key: test
        command: test {{matrix.python}} != 3.14
        matrix:
          setup:
            python: ["3.13", "3.14"]
      - key: lint
        command: echo lint
      - key: build
        command: echo build
        depends_on: lint
      - wait
      - key: publish
        command: echo publish
    """
    run = buildkite.run(repository, pipeline)
    assert {job.key + job.matrix.get("python", ""): job.exit for job in run.jobs} == {
        "test3.13": 0,
        "test3.14": 1,
        "lint": 0,
        "build": 0,
        "publish": None,
    }


def test_annotations_meta_data_and_artifacts_last_over_the_jobs_of_a_build(
    buildkite: Buildkite, repository: Path
) -> None:
    first = """
    mkdir -p "dist/a b"; printf one > dist/1.txt; printf two > "dist/a b/2.txt"; printf no > dist/3.log
    buildkite-agent artifact upload "dist/**/*.txt"
    buildkite-agent artifact upload --literal dist/3.log
    buildkite-agent meta-data set key value
    echo "**hello**" | buildkite-agent annotate --append --context c --style info
    echo " again" | buildkite-agent annotate --append --context c --style error
    """
    second = """
    buildkite-agent artifact download "dist/*" . && cat "dist/a b/2.txt"
    buildkite-agent meta-data get key
    buildkite-agent meta-data exists other || echo "none: $?"
    """
    run = buildkite.run(repository, {"steps": [{"key": "one", "command": first}, "wait", {"command": second}]})
    assert run.ok, run.log
    assert run.artifacts == {"dist/1.txt": b"one", "dist/a b/2.txt": b"two", "dist/3.log": b"no"}
    digest = hashlib.sha256(b"two").hexdigest()
    assert {each.path: each.description["sha256sum"] for each in run.build.artifacts}["dist/a b/2.txt"] == digest
    assert run.meta_data == {"key": "value"}
    assert run.annotations == "**hello**\n again\n"
    assert run.styles() == {"error"}
    assert "none: 100" in run.jobs[1].log
    assert (run.jobs[1].workspace / "dist" / "1.txt").read_text() == "one"


def test_what_a_hook_exports_reaches_the_command(buildkite: Buildkite, repository: Path, commit_all: Commit) -> None:
    plugin = with_plugin(repository, "greet", commit_all, pre_command="export GREETING=hello")
    run = buildkite.step(repository, plugin, command='echo "$GREETING you"')
    assert "hello you" in run.log
    assert run.jobs[0].env["GREETING"] == "hello"


def test_a_second_command_hook_is_ignored(buildkite: Buildkite, repository: Path, commit_all: Commit) -> None:
    plugins = [with_plugin(repository, name, commit_all, command=f"echo {name} ran") for name in ("one", "two")]
    run = buildkite.step(repository, *plugins)
    assert run.ok
    assert "one ran" in run.log
    assert "two ran" not in run.log
    assert "Ignoring additional command hook" in run.log


def test_secrets_are_redacted_by_the_agent(buildkite: Buildkite, repository: Path) -> None:
    command = """
    echo "by its name: $INDEX_PASSWORD"
    printf '%s' "$LOGIN" | buildkite-agent redactor add && echo "by request: $LOGIN"
    """
    run = buildkite.step(
        repository, command=command, env={"INDEX_PASSWORD": "correct-horse", "LOGIN": "battery-staple"}
    )
    assert run.ok, run.log
    assert "by its name: [REDACTED]" in run.log
    assert "by request: [REDACTED]" in run.log


def test_an_identity_token_comes_from_the_issuer(buildkite: Buildkite, repository: Path) -> None:
    buildkite.api.oidc = lambda request: f"token-for-{request['audience']}"
    command = "buildkite-agent oidc request-token --audience pypi --skip-redaction"
    assert "token-for-pypi" in buildkite.step(repository, command=command).log


def test_a_request_that_is_told_to_fail_does(buildkite: Buildkite, repository: Path) -> None:
    buildkite.api.fail("/jobs/*/annotations", 403)
    run = buildkite.step(repository, command="echo x | buildkite-agent annotate || echo 'it said no'")
    assert "it said no" in run.log
    assert run.build.annotations == {}


def test_a_cancelled_job(buildkite: Buildkite, repository: Path) -> None:
    run = buildkite.step(repository, command="echo begun; sleep 60; echo never", cancel_at="begun\n", timeout=30)
    assert not run.ok
    assert "never\n" not in run.log.replace("echo never", "")
    assert run.jobs[0].env["BUILDKITE_JOB_CANCELLED"] == "true"


def test_a_job_that_hangs_is_ended(buildkite: Buildkite, repository: Path) -> None:
    with pytest.raises(TimeoutError, match="hanging"):
        buildkite.step(repository, command="echo hanging; sleep 60", timeout=5)
