"""The Jenkins engine itself: what it tells about a build is what happened, and it fails where Jenkins would."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from engines.jenkins import Jenkins, Run, Secret
from engines.machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with an empty release: what is tested here has nothing to do with the collection."""
    for name in ("no release", "shared"):
        (tmp_path / name).mkdir()
    return Machine(tmp_path / "no release", tmp_path / "shared")


@pytest.fixture
def checkout(tmp_path: Path, commit_all: Callable[[Path], None]) -> Path:
    folder = tmp_path / "a checkout"
    folder.mkdir()
    (folder / "file.txt").write_text("content\n")
    commit_all(folder)
    return folder


@pytest.fixture
def library(tmp_path: Path) -> Callable[[Mapping[str, str]], dict[str, Path]]:
    """Writes a shared library `lib@v1` of the given files."""

    def write(files: Mapping[str, str]) -> dict[str, Path]:
        for name, text in files.items():
            path = tmp_path / "a library" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return {"lib@v1": tmp_path / "a library"}

    return write


@pytest.fixture
def run(jenkins: Jenkins, checkout: Path) -> Callable[..., Run]:
    def start(jenkinsfile: str, **more: Any) -> Run:
        return jenkins.run(checkout, jenkinsfile, **more)

    return start


def test_a_process_gets_the_environment_of_its_blocks(run: Callable[..., Run]) -> None:
    done = run(
        """
        node {
            checkout scm
            dir('sub') {
                withEnv(['A=1', 'PATH+X=/x', 'CI=']) {
                    sh 'echo "[$A] [$PATH] [${CI-none}] [$BRANCH_NAME] [$PWD]"; cat ../file.txt'
                }
            }
            return sh(script: 'echo "${A-none} $WORKSPACE_TMP"; echo beside >&2', returnStdout: true)
        }
        """
    )
    assert done.ok, done.log
    assert "[1] [/x:" in done.log
    assert f"[none] [main] [{done.workspace}/sub]\n+ cat ../file.txt\ncontent\n" in done.log
    assert done.value == f"none {done.workspace}@tmp\n"
    assert "\nbeside\n" in done.log


def test_a_failure_is_thrown_into_the_program_and_ends_the_build_uncaught(run: Callable[..., Run]) -> None:
    done = run("node { try { sh 'exit 7' } catch (e) { echo \"caught ${e.message}\" }\n sh 'exit 8'\n echo 'never' }")
    assert (done.result, done.exit) == ("FAILURE", 8)
    assert "caught script returned exit code 7" in done.log
    assert "never" not in done.log
    assert done.log.endswith("ERROR: script returned exit code 8\n[Pipeline] End of Pipeline\nFinished: FAILURE\n")


def test_a_library_is_loaded_with_its_variables_classes_and_resources(
    run: Callable[..., Run], library: Callable[[Mapping[str, str]], dict[str, Path]]
) -> None:
    libraries = library(
        {
            "vars/greet.groovy": """
                import org.acme.Greeter
                def call(Map options = [:], Closure body) {
                    def greeter = new Greeter(this, options.name)
                    greeter.greet(libraryResource('org/acme/word.txt').trim())
                    for (x in ['a', 'b']) { sh "echo round ${x}" }
                    body()
                }
            """,
            "src/org/acme/Greeter.groovy": """
                package org.acme
                class Greeter implements Serializable {
                    private final def script
                    private final String name
                    Greeter(script, String name) { this.script = script; this.name = name }
                    void greet(String word) { script.sh "echo '${word} ${name}'"; script.echo "done ${name}" }
                }
            """,
            "resources/org/acme/word.txt": "hello\n",
        }
    )
    done = run("@Library('lib@v1') _\nnode { greet(name: 'you') { sh 'echo inside' } }", libraries=libraries)
    assert done.ok, done.log
    told = [line for line in done.log.splitlines() if not line.startswith(("[", "+"))]
    assert told[2:-1] == ["hello you", "done you", "round a", "round b", "inside"]


def test_what_is_not_serializable_can_not_be_held_across_a_step(run: Callable[..., Run]) -> None:
    done = run("node {\n def m = 'abc' =~ /b/\n sh 'true'\n echo \"${m.find()}\"\n}")
    assert done.result == "FAILURE"
    assert "NotSerializableException: java.util.regex.Matcher, held while the step sh runs" in done.exception


def test_a_step_in_plain_code_ends_the_build(run: Callable[..., Run]) -> None:
    done = run("@NonCPS def bad() { sh 'echo out'; return 1 }\nnode { bad() }")
    assert done.result == "FAILURE"
    assert "expected to call WorkflowScript.bad but wound up catching sh" in done.exception


def test_secrets_are_masked_and_where_they_leak_is_told(run: Callable[..., Run]) -> None:
    done = run(
        """
        node {
            withCredentials([string(credentialsId: 'token', variable: 'TOKEN')]) {
                sh 'echo "$TOKEN"; printf %s "$TOKEN" | base64'
                def copy = env.TOKEN
                sh 'true'
            }
        }
        """,
        credentials={"token": Secret.text("s3cret-value")},
    )
    assert done.ok, done.log
    assert "s3cret-value" not in done.log
    assert "\n****\n" in done.log
    assert done.leaks == ["the saved program holds TOKEN at the step sh"]
