"""The Jenkins library as a user meets it: pipelines under Jenkins' own CPS, on the release tree, on a real index."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from distributions import wheel
from engines.jenkins import Jenkins, Run, Secret
from services.index import PASSWORD, USERNAME, Index

ROOT = Path(__file__).resolve().parents[1]
VARS = ROOT / "jenkins-shared-lib" / "vars"
Project = Callable[[str], Path]

LIBRARY = "@Library('uv-actions@v1') _\n"
# A global library is trusted, a folder's one runs in the sandbox.
both_modes = pytest.mark.parametrize("mode", ["cps", "sandbox"])
USER = {"pypi": Secret.user(USERNAME, PASSWORD)}


def groovy(value: object) -> str:
    """A value as a literal of Groovy, in which nothing is expanded."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return (
            "[" + ", ".join(f"{groovy(key)}: {groovy(each)}" for key, each in value.items()) + "]" if value else "[:]"
        )
    if isinstance(value, list):
        return "[" + ", ".join(groovy(each) for each in value) + "]"
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("$", "\\$")
    return f"'{escaped}'"


def on_node(body: str) -> str:
    return f"{LIBRARY}node {{\n    checkout scm\n{body}\n}}\n"


def publishing(index: Index, **more: object) -> dict[str, object]:
    return {"publishUrl": index.upload_url, "checkUrl": index.url, "credentialsId": "pypi", **more}


def left_behind(run: Run) -> list[str]:
    """What a build left in its workspace's temporary folder, beside what stays there, and of its reports."""
    temporary = run.workspace.with_name(f"{run.workspace.name}@tmp") / "uv-actions"
    kept = [path.name for path in temporary.iterdir() if not path.name.startswith(("scripts-", "home-", "jobcacher"))]
    return kept + [path.name for path in run.workspace.glob(".uv-actions*")]


# ---------------------------------------------------------------------------------------------------------------------
# The whole


@both_modes
def test_a_pipeline_from_setup_to_publish(jenkins: Jenkins, project: Project, index: Index, mode: str) -> None:
    options = {"test": {"args": ["-q"]}, "publish": publishing(index)}
    run = jenkins.run(
        project("app"),
        f"{LIBRARY}note name: 'all', value: uvPipeline({groovy({'label': 'linux', **options})})",
        mode=mode,
        credentials=USER,
    )
    assert run.ok, run.log
    assert [stage["name"] for stage in run.stages] == ["Setup", "Lock check", "Test", "Build", "Publish"]
    assert index.files() == ["app-1.2.3-py3-none-any.whl", "app-1.2.3.tar.gz"]
    told = run.notes["all"]
    assert told["setup"]["pythonVersion"].startswith("3.")
    assert told["lockCheck"] == {"state": "fresh", "findings": 0}
    assert (told["test"]["passed"], told["test"]["failed"], told["test"]["skipped"]) == (2, 0, 0)
    assert told["build"]["files"] == index.files()
    assert [line.partition("  ")[2] for line in told["build"]["sha256"]] == index.files()
    assert told["publish"]["published"] == 2
    assert run.junit[0]["passCount"] == 2
    assert [each["id"] for each in run.issues] == ["uv-lock-check", "uv-build"]
    assert run.leaks == []
    assert PASSWORD not in run.log
    assert left_behind(run) == []
    # Jenkins would trace the script of an `sh` that doesn't begin so.
    assert all(each["script"].startswith("#!/bin/sh -e\n") for each in run.shells)


def test_build_and_publish_on_different_nodes(jenkins: Jenkins, project: Project, index: Index) -> None:
    run = jenkins.run(
        project("app"),
        f"""{LIBRARY}
        def built
        node('a') {{
            checkout scm
            built = uvBuild(stash: 'dist')
        }}
        node('b') {{
            sh 'rm -rf dist'
            def options = {groovy(publishing(index))} + [stash: 'dist', sha256: built.sha256]
            note name: 'first', value: uvPublish(options)
            note name: 'second', value: uvPublish(options)
        }}
        """,
        credentials=USER,
    )
    assert run.ok, run.log
    assert (run.notes["first"]["published"], run.notes["first"]["skipped"]) == (2, 0)
    assert (run.notes["second"]["published"], run.notes["second"]["skipped"]) == (0, 2)
    assert len(index.uploads) == 2


# Each upload that must not be, with what its error says.
REFUSED = {
    "another file": ({"credentialsId": "pypi", "sha256": [f"{'0' * 64}  app-1.2.3-py3-none-any.whl"]}, "(exit code 3)"),
    "a wrong password": ({"credentialsId": "wrong"}, "uvPublish: not authorised (exit code 4)"),
    # The index knows no tokens: what counts is that the secret text reached it as one.
    "a token": ({"credentialsId": "token"}, "uvPublish: not authorised (exit code 4)"),
    "no such credential": ({"credentialsId": "none"}, "Could not find credentials entry with ID 'none'"),
    "another tag": (
        {"credentialsId": "pypi"},
        "uvPublish: wrong use, or something that this machine lacks (exit code 2)",
    ),
}


def test_a_refused_upload(jenkins: Jenkins, project: Project, index: Index) -> None:
    folder = project("app")
    wheel(folder / "release", "app", "1.2.3")
    subprocess.run(["git", "add", "-f", "release"], cwd=folder, check=True)
    subprocess.run(["git", "-c", "user.name=c", "-c", "user.email=c@x", "commit", "-qm", "x"], cwd=folder, check=True)
    calls = []
    for name, (more, _) in REFUSED.items():
        call = f"uvPublish({groovy(publishing(index, dist=['release'], **more))})"
        tag = "v9.9" if name == "another tag" else ""
        calls.append(
            f"withEnv(['TAG_NAME={tag}']) {{ try {{ {call} }} catch (e) {{ said.put('{name}', e.message) }} }}"
        )
    run = jenkins.run(
        folder,
        on_node("def said = [:]\n" + "\n".join(calls) + "\nnote name: 'said', value: said"),
        credentials={**USER, "wrong": Secret.user(USERNAME, "wr0ng-pass"), "token": Secret.text("pypi-t0ken")},
    )
    assert run.ok, run.log
    for name, (_, told) in REFUSED.items():
        assert told in run.notes["said"][name], run.log
    assert index.uploads == []
    assert run.leaks == []
    assert not re.search(f"wr0ng-pass|pypi-t0ken|{PASSWORD}", run.log)
    assert left_behind(run) == []


# ---------------------------------------------------------------------------------------------------------------------
# Options

# Each call with what its error says.
WRONG = [
    ("uvTest(pythonVerson: '3.12')", "uvTest: there is no option `pythonVerson`; the nearest is `pythonVersion`"),
    ("uvSetup(Groups: ['docs']) { }", "uvSetup: there is no option `Groups`; the nearest is `groups`"),
    ("uvTest(pythonVersion: 3.10)", "uvTest: `pythonVersion` must be text, but is a number"),
    ("uvTest(pythonVersion: 3.10)", "write pythonVersion: '…', in quotes"),
    ("uvTest(args: '-q')", "uvTest: `args` must be a list of texts\n  To mend it: write args: ['one', 'two']"),
    ("uvTest(args: ['-q', 3])", "uvTest: `args` must be a list of texts, and has an item that isn't one"),
    ("uvTest(args: ['a\\nb'])", "uvTest: `args` has an item that is empty, begins or ends with a blank, or has a line"),
    ("uvTest(args: [''])", "uvTest: `args` has an item that is empty"),
    ("uvTest(command: 'a\\u0000b')", "uvTest: `command` has a NUL character in it"),
    ("uvSetup(sync: 'false') { }", "uvSetup: `sync` must be true or false, without quotes"),
    ("uvTest(pythons: ['3.12'], pythonVersion: '3.12')", "uvTest: `pythons` and `pythonVersion` are given"),
    ("uvTest(resolutions: ['lowest'], resolution: 'lowest')", "uvTest: `resolutions` and `resolution` are given"),
    ("uvTest(pythons: ['3.12'], junit: 'x.xml')", "uvTest: `junit` names one file, but several runs would write it"),
    ("uvSetup()", "uvSetup: there is no closure"),
    ("uvSetup(groups: ['docs'])", "uvSetup: there is no closure"),
    ("uvCache()", "uvCache: there is no closure"),
    ("uvCache(mode: 'save') { }", "uvCache: there is no option `mode`; the nearest is"),
    ("uvPublish(password: 's3cret')", "uvPublish: `password` would be saved with the build"),
    ("uvPublish(trustedPublishing: 'always')", "uvPublish: there is no option `trustedPublishing`"),
    ("uvPublish()", "uvPublish: `credentialsId` is missing"),
    ("uvPublish(stash: 'a', dist: ['b'], credentialsId: 'c')", "uvPublish: `stash` and `dist` are given"),
    ("uvPipeline(publish: [credentialId: 'x'])", "uvPublish: there is no option `credentialId`; the nearest is `cred"),
    ("uvPipeline(setup: [cash: 'auto'])", "uvPipeline: setup: there is no option `cash`; the nearest is `cache`"),
    ("uvPipeline(test: 'x')", "uvPipeline: `test` must be a map of options, or false"),
    ("uvPipeline(setup: false)", "uvPipeline: `setup` is false, but all other parts need it"),
    ("uvSh 'uv --version'", "uvSh: it is not inside of uvSetup or uvCache"),
    ("uvSh(label: 'x')", "uvSh: there is no script"),
    ("uvLockCheck()", "uvLockCheck: there is no workspace here\n  To mend it: call uvLockCheck inside of node { … }"),
    ("uvPipeline()", "uvSetup: there is no workspace here"),
]


@both_modes
def test_wrong_use_is_told_before_anything_runs(jenkins: Jenkins, project: Project, mode: str) -> None:
    calls = "\n".join(
        f"try {{ {call}; said.put('{number}', 'nothing') }} catch (e) {{ said.put('{number}', e.message) }}"
        for number, (call, _) in enumerate(WRONG)
    )
    run = jenkins.run(project("app"), f"{LIBRARY}def said = [:]\n{calls}\nnote name: 'said', value: said", mode=mode)
    assert run.ok, run.log
    assert run.shells == []
    for number, (call, told) in enumerate(WRONG):
        assert told in run.notes["said"][str(number)], call
        assert "To mend it: " in run.notes["said"][str(number)], call


def reference(step: str) -> dict[str, tuple[str, str]]:
    """A step's options as its page tells them: name -> (type, default)."""
    items = re.findall(r"<li>(.*?)</li>", (VARS / f"{step}.txt").read_text(encoding="utf-8"))
    form = r"<code>(\w+)</code>: .+? Type: (.+?)\. (?:Default: <code>(.*?)</code>|Required\.)"
    matches = [re.fullmatch(form, item) for item in items]
    assert all(matches), step
    return {each[1]: (each[2], html.unescape(each[3] or "")) for each in matches if each}


def test_the_reference_is_what_the_steps_have(jenkins: Jenkins, project: Project) -> None:
    steps = sorted(path.stem for path in VARS.glob("*.groovy"))
    assert steps == sorted(path.stem for path in VARS.glob("*.txt"))
    with_defaults = [step for step in steps if step != "uvSh"]
    defaults = ", ".join(f"{step}: {step}.defaults()" for step in with_defaults)
    run = jenkins.run(project("app"), f"{LIBRARY}note name: 'defaults', value: [{defaults}]")
    assert run.ok, run.log
    types = {str: ("text", "path", "absolute path", "URL", "choice"), bool: ("flag",), list: ("list",), dict: ("map",)}
    for step in with_defaults:
        told, has = reference(step), run.notes["defaults"][step]
        assert list(told) == list(has), step
        for name, (type_, default) in told.items():
            assert default == groovy(has[name]), f"{step}.{name}"
            assert type_.startswith(types[type(has[name])]), f"{step}.{name}"
        # Jenkins shows it through a markup formatter, which keeps simple elements alone.
        text = (VARS / f"{step}.txt").read_text(encoding="utf-8")
        assert set(re.findall(r"</?(\w+)", text)) == {"p", "code", "ul", "li"}, step
        assert not re.search(r"&(?!lt;|gt;|amp;)", text), step


# ---------------------------------------------------------------------------------------------------------------------
# Where it runs


def test_several_pythons_and_resolutions_side_by_side_in_one_workspace(
    jenkins: Jenkins, project: Project, pythons: Callable[[], dict[str, Path]]
) -> None:
    found = pythons()
    versions = ["3.10", "3.14"]
    folder = project("app")
    (folder / "tests" / "test_python.py").write_text(
        "import os, sys, idna\n"
        "def test_python():\n"
        "    assert sys.prefix != sys.base_prefix\n"
        "    print('RAN', *sys.version_info[:2], idna.__version__, sys.prefix, os.environ['COVERAGE_FILE'])\n"
    )
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    subprocess.run(["git", "-c", "user.name=c", "-c", "user.email=c@x", "commit", "-qm", "x"], cwd=folder, check=True)
    options = {"pythons": versions, "resolutions": ["locked", "lowest-direct"], "args": ["-q", "-s"]}
    run = jenkins.run(
        folder,
        on_node(f"uvSetup(pythonVersion: '3.10') {{ note name: 'tests', value: uvTest({groovy(options)}) }}"),
        env={
            "UV_PYTHON_SEARCH_PATH": os.pathsep.join(str(found[version].parent) for version in versions),
            "UV_PYTHON_DOWNLOADS": "never",
        },
    )
    assert run.ok, run.log
    ran = re.findall(r"RAN (\d+) (\d+) (\S+) (\S+) (\S+)", run.log)
    assert sorted({(f"{major}.{minor}", idna == "3.4") for major, minor, idna, _, _ in ran}) == [
        (version, lowest) for version in versions for lowest in (False, True)
    ]
    assert len({prefix for *_, prefix, _ in ran}) == len({coverage for *_, coverage in ran}) == 4
    assert sorted(run.notes["tests"]) == [
        f"{version}, {each}" for version in versions for each in options["resolutions"]
    ]
    assert [each["passCount"] for each in run.junit] == [3, 3, 3, 3]
    assert left_behind(run) == []


def test_a_failing_run_fails_the_build_and_the_others_go_on(jenkins: Jenkins, project: Project) -> None:
    run = jenkins.run(project("failing-tests"), on_node("uvTest(resolutions: ['locked', 'highest'], args: ['tests'])"))
    assert run.result == "FAILURE"
    assert "tests failed (exit code 1)" in run.exception
    assert len(run.junit) == 2
    assert all(each["failCount"] for each in run.junit)
    assert left_behind(run) == []


def test_each_run_on_a_node_of_its_own(jenkins: Jenkins, project: Project) -> None:
    run = jenkins.run(
        project("app"), f"{LIBRARY}uvTest(resolutions: ['locked', 'highest'], label: 'linux')", executors=2
    )
    assert run.ok, run.log
    assert sorted(path.name for path in run.workspace.parent.iterdir() if not path.name.endswith("@tmp")) == [
        run.workspace.name,
        f"{run.workspace.name}@2",
    ]
    assert [each["passCount"] for each in run.junit] == [2, 2]


CONTAINERS = {
    "docker.inside": "docker.image('python').inside {{ {} }}",
    "container": "container('python') {{ {} }}",
}


@pytest.mark.parametrize("where", CONTAINERS)
def test_in_a_container(jenkins: Jenkins, project: Project, where: str) -> None:
    """With a PATH of its own, without this machine's uv, and in `inside` with a user who has no home."""
    body = """uvSetup { setup ->
        note name: 'setup', value: setup
        note name: 'uv', value: uvSh(script: 'command -v uv', returnStdout: true).trim()
        uvSh 'uv run --locked --offline python -c "import idna"; uvx --version'
        uvTest(args: ['-q'])
        uvBuild()
    }"""
    run = jenkins.run(
        project("app"),
        on_node(CONTAINERS[where].format(body)),
        images={"python": [jenkins.bin, Path("/usr/bin"), Path("/bin")]},
    )
    assert run.ok, run.log
    assert run.notes["uv"] == run.notes["setup"]["uvPath"]
    assert run.junit[0]["passCount"] == 2
    if where == "docker.inside":
        assert f"{run.workspace.name}@tmp/uv-actions/home-" in run.notes["uv"]
    assert left_behind(run) == []


def test_two_builds_at_once_on_one_agent(jenkins: Jenkins, project: Project) -> None:
    folder = project("app")
    runs: list[Run] = []

    def build() -> None:
        runs.append(jenkins.run(folder, on_node("uvSetup { uvTest(); uvBuild() }")))

    threads = [threading.Thread(target=build) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [run.result for run in runs] == ["SUCCESS", "SUCCESS"], "\n".join(run.log for run in runs)
    assert [left_behind(run) for run in runs] == [[], []]


def test_a_step_in_another_folder_leaves_the_workspace_as_it_is(jenkins: Jenkins, project: Project) -> None:
    """Jenkins' own `sh` there would make `apps/api@tmp`, which uv takes for a member of the workspace (`apps/*`)."""
    run = jenkins.run(
        project("workspace"),
        on_node("""
        uvSetup {
            dir('apps/api') {
                uvSh 'uv run --locked --package acme-api python -c "import acme_api"; basename "$PWD"'
                uvLockCheck()
                note name: 'built', value: uvBuild()
            }
        }
        """),
    )
    assert run.ok, run.log
    assert "\napi\n" in run.log
    assert run.notes["built"]["files"] == ["acme_api-2.0.0-py3-none-any.whl", "acme_api-2.0.0.tar.gz"]
    assert len(run.issues[0]["files"]) == 1
    assert [path for path in run.workspace.rglob("*") if path.name.endswith("@tmp") or ".uv-actions" in path.name] == []
    # It is still the one set-up.
    assert [each["label"] for each in run.shells].count("uvSetup: clean up") == 1
    assert left_behind(run) == []


def test_an_abort_stays_one_and_leaves_nothing(jenkins: Jenkins, project: Project) -> None:
    run = jenkins.run(
        project("app"), on_node("uvSetup { timeout(time: 2, unit: 'SECONDS') { uvTest(command: '/bin/sleep 60') } }")
    )
    assert run.result == "ABORTED", run.log
    assert left_behind(run) == []


def test_a_users_command(jenkins: Jenkins, project: Project) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    run = jenkins.run(
        project("app"),
        on_node(
            r"""
        uvSetup(pythonVersion: 'VERSION') { setup ->
            note name: 'out', value: uvSh(script: 'printf %s "it is $UV_PYTHON"; echo no >&2', returnStdout: true)
            note name: 'status', value: uvSh(script: 'exit 7', returnStatus: true)
            uvSh "test \"\$(uv --version | cut -d' ' -f2)\" = ${setup.uvVersion}"
            try { uvSh 'false; echo never' } catch (e) { note name: 'failed', value: e.message }
            try { uvSh '#!/bin/bash\nfalse' } catch (e) { note name: 'interpreter', value: e.message }
        }
        """.replace("VERSION", version)
        ),
    )
    assert run.ok, run.log
    assert run.notes["out"] == f"it is {version}"
    assert run.notes["status"] == 7
    assert run.notes["failed"] == "script returned exit code 1"
    assert "uvSh: the script begins with `#!`" in run.notes["interpreter"]


# ---------------------------------------------------------------------------------------------------------------------
# Reports


def test_a_drifted_lock_is_recorded_and_fails(jenkins: Jenkins, project: Project) -> None:
    run = jenkins.run(project("drifted"), on_node("uvLockCheck()"))
    assert run.result == "FAILURE"
    assert "uvLockCheck: a lock isn't fresh (exit code 1)\n  To mend it: run `uv lock`" in run.exception
    [issues] = run.issues
    assert (issues["tool"], issues["id"], issues["name"]) == ("sarif", "uv-lock-check", "uv lock check")
    [report] = run.recorded(issues)
    [result] = json.loads(report.read_text())["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "pyproject.toml"
    assert left_behind(run) == []


def test_findings_may_be_let_through(jenkins: Jenkins, project: Project) -> None:
    run = jenkins.run(project("drifted"), on_node("note name: 'locks', value: uvLockCheck(failOn: 'never')"))
    assert run.ok, run.log
    assert run.notes["locks"] == {"state": "drifted", "findings": 1}
    assert len(run.issues) == 1


COVERED = """\
[project]
name = "covered"
version = "1"
requires-python = ">=3.10"

[dependency-groups]
dev = ["pytest>=8", "pytest-cov>=5"]
"""


def test_coverage_is_recorded_beside_the_sources(
    jenkins: Jenkins, tmp_path: Path, commit_all: Callable[[Path], None]
) -> None:
    folder = tmp_path / "covered"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(COVERED)
    (folder / "test_it.py").write_text("def test_it():\n    pass\n")
    commit_all(folder)
    call = "uvTest(coverage: 'xml', resolutions: ['highest', 'lowest-direct'])"
    run = jenkins.run(folder, on_node(f"note name: 'test', value: {call}"))
    assert run.ok, run.log
    assert sorted(each["id"] for each in run.coverage) == ["coverage-highest", "coverage-lowest-direct"]
    for each in run.coverage:
        assert each["tool"] == "COBERTURA"
        assert 'filename="test_it.py"' in run.recorded(each)[0].read_text()
    assert left_behind(run) == []


def test_without_plugins_reports_are_archived(jenkins: Jenkins, project: Project) -> None:
    run = jenkins.run(project("app"), on_node("uvLockCheck()\nuvTest()"), plugins=())
    assert run.ok, run.log
    assert run.artifacts() == ["junit.xml", "lock-check.sarif"]
    assert "archived, since no plugin here has the step junit" in run.log


# ---------------------------------------------------------------------------------------------------------------------
# Untrusted text

HOSTILE = [
    "$(touch owned)",
    "`touch owned`",
    "'; touch owned; '",
    '"; touch owned; "',
    "--flag=$(touch owned)",
    "-rf",
    "\\'$(touch owned)\\",
    "${HOME:-$(touch owned)}",
]


@both_modes
def test_no_text_is_executed(jenkins: Jenkins, project: Project, mode: str) -> None:
    folder = project("app")
    (folder / "tests" / "test_words.py").write_text(
        "import os\ndef test_args():\n    print(os.environ['BRANCH_NAME'])\n"
    )
    text = "".join(HOSTILE).replace(" ", "${IFS}")
    calls = {
        "uvSetup": ["workingDirectory", "uvVersion", "indexUrl", "pythonVersion", "cache", "cacheStore", "mirror"],
        "uvLockCheck": ["workingDirectory", "failOn", "mirror"],
        "uvTest": ["workingDirectory", "command", "pythonVersion", "resolution", "junit", "coverage", "mirror"],
        "uvBuild": ["workingDirectory", "package", "mirror", "stash"],
    }
    lists = {
        "uvSetup": ["checksum", "groups", "extras", "packages", "syncArgs"],
        "uvLockCheck": ["paths"],
        "uvTest": ["args", "groups"],
    }
    tried: list[tuple[str, str, object]] = [(step, name, text) for step, names in calls.items() for name in names]
    tried += [(step, name, HOSTILE) for step, names in lists.items() for name in names]
    body = "\n".join(
        f"try {{ {step}({name}: {groovy(value)}){' { }' if step == 'uvSetup' else ''} }} catch (e) {{ echo e.message }}"
        for step, name, value in (tried if mode == "cps" else tried[::6])
    )
    run = jenkins.run(folder, on_node(body), mode=mode, branch=f"it's-{text}")
    assert run.ok, run.log
    assert [path for path in jenkins.state.rglob("owned*") if path.name.startswith("owned")] == []
    assert left_behind(run) == []
