"""What can be seen of the Jenkins library without running it: our guard, and the field's linter."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jenkins_guard
import pytest
from engines.groovy_lint import lint
from linters import check

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "jenkins-shared-lib"
CODE = sorted([*LIBRARY.glob("vars/*.groovy"), *LIBRARY.glob("src/**/*.groovy")])
SHELL = sorted(LIBRARY.glob("resources/**/*.sh"))

# A right file, and what the guard says of it once a piece is replaced.
RIGHT = r"""package org.uvactions

/** System.exit in a comment is nothing. */
class Job implements Serializable {

    static final String HEAD = '#!/bin/sh -e\n'
    // new File('x') neither
    void run(Map options) {
        String script = Shell.HEAD + 'true'
        steps.sh(script: script, label: 'x')
        sh(script: Shell.HEAD + Shell.command(['a']), returnStatus: true)
        sh '#!/bin/sh -e\ntrue'
        sh(config + [script: Shell.HEAD + text])
        String from = env.PATH
        withEnv(['A=b']) { echo 'new push' }
        withCredentials([string(credentialsId: options.credentialsId, variable: 'UV_PASSWORD')]) {
            sh(script: HEAD + 'x "$UV_PASSWORD"')
        }
    }
}
"""


def test_guard_finds_nothing_in_a_right_file() -> None:
    assert jenkins_guard.find(RIGHT) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("echo 'new push'", "new File('x')", "line 15: `new File` reaches files of the controller"),
        ("echo 'new push'", "new java.io.FileReader('x')", "reaches files of the controller"),
        ("echo 'new push'", "System.getenv('X')", "`System.` reaches the controller's JVM"),
        ("echo 'new push'", "java.lang.System.exit(1)", "reaches the controller's JVM"),
        ("echo 'new push'", "Runtime.runtime.exec('x')", "reaches the controller's JVM"),
        ("echo 'new push'", "'ls'.execute()", "reaches code made at run time"),
        ("echo 'new push'", "Jenkins.instance.nodes", "reaches Jenkins itself"),
        ("package org", "@Grab('x:y:1')\npackage org", "`@Grab` reaches downloads"),
        ("echo 'new push'", "currentBuild.rawBuild", "reaches the build's own objects"),
        (" implements Serializable", "", "class `Job` isn't Serializable"),
        (" implements Serializable", " extends Other", "class `Job` isn't Serializable"),
        ("echo 'new push'", "env.X = 'y'", "`env.X =` sets a variable of the whole build"),
        ("['A=b']", "['PATH+UV=b']", "`withEnv` with PATH"),
        ("['A=b']", "['A=b', \"PATH=b\"]", "`withEnv` with PATH"),
        ("String script = Shell.HEAD + 'true'", "String script = 'true'", "line 10: this script doesn't begin"),
        ("label: 'x')\n", "label: 'x')\n        script = 'x'\n", "line 10: this script doesn't begin"),
        ("script: Shell.HEAD + Shell.command", "script: Shell.command", "line 11: this script doesn't begin"),
        (r"sh '#!/bin/sh -e\ntrue'", "sh 'true'", "line 12: this script doesn't begin"),
        (r"sh '#!/bin/sh -e\ntrue'", 'sh "true"', "line 12: this script doesn't begin"),
        (r"sh '#!/bin/sh -e\ntrue'", r"sh '#!/bin/sh\ntrue'", "line 12: this script doesn't begin"),
        (r"sh '#!/bin/sh -e\ntrue'", "sh(text)", "line 12: this script doesn't begin"),
        (r"sh '#!/bin/sh -e\ntrue'", "bat 'dir'", "line 12: `bat` is for one system"),
        ("config + [script: Shell.HEAD + text]", "config + [script: text]", "line 13: this script doesn't begin"),
        ("""x "$UV_PASSWORD"'""", """x' + "${UV_PASSWORD}" """, "`UV_PASSWORD` is read by Groovy"),
        ("""x "$UV_PASSWORD"'""", """x' + env.UV_PASSWORD""", "`UV_PASSWORD` is read by Groovy"),
    ],
)
def test_guard_finds(old: str, new: str, finding: str) -> None:
    assert old in RIGHT
    findings = jenkins_guard.find(RIGHT.replace(old, new, 1))
    assert any(finding in each for each in findings), findings


def test_library() -> None:
    findings = {path.name: jenkins_guard.find(path.read_text(encoding="utf-8")) for path in CODE}
    assert findings == {name: [] for name in findings}


def test_each_step_has_a_text_with_its_defaults() -> None:
    steps = {path.stem: path for path in LIBRARY.glob("vars/*.groovy")}
    assert set(steps) == {path.stem for path in LIBRARY.glob("vars/*.txt")}
    for name, path in steps.items():
        told = defaults_told(path.with_suffix(".txt").read_text(encoding="utf-8"))
        assert told == defaults_coded(path.read_text(encoding="utf-8")), name


def defaults_told(text: str) -> dict[str, str]:
    """The parameters that have a default, as Groovy writes it, in a step's text."""
    return dict(re.findall(r"<li><code>(\w+)</code>:.*?Default: <code>(.*?)</code></li>", text))


def defaults_coded(text: str) -> dict[str, str]:
    """The same in a step's code: what `defaults()` returns, one a line."""
    body = re.search(r"Map defaults\(\) \{\s*return \[\n(.*?)^    \]", text, re.DOTALL | re.MULTILINE)
    return dict(re.findall(r"^\s+(\w+): (.*?),?$", body[1], re.MULTILINE)) if body else {}


def test_defaults_are_read_from_text_and_code() -> None:
    text = "<ul>\n<li><code>a</code>: An <code>x</code>. Default: <code>['dist']</code></li>\n</ul>"
    assert defaults_told(text) == {"a": "['dist']"}
    assert defaults_coded("Map defaults() {\n    return [\n        a: ['dist'],\n    ]\n}\n") == {"a": "['dist']"}


@pytest.fixture
def groovy_lint() -> Callable[[Path, Path], dict[str, list[dict[str, Any]]]]:
    return lint


BAD = """\
def call(Map options) {
    String unused = 'x'
    if (options.a = 1) {
        echo 'assigned'
    }
}
"""


def test_groovy_lint(groovy_lint: Callable[[Path, Path], dict[str, list[dict[str, Any]]]], tmp_path: Path) -> None:
    """One run for all, since each starts a JVM: the library with its examples, and files that have faults."""
    for path in (*CODE, *LIBRARY.glob("examples/**/*"), ROOT / "Jenkinsfile"):
        if path.is_file():
            target = tmp_path / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "uvBad.groovy").write_text(BAD, encoding="utf-8")
    (tmp_path / "bad" / "uvBroken.groovy").write_text("def call( {\n", encoding="utf-8")
    findings = groovy_lint(tmp_path, ROOT)
    assert {each["rule"] for each in findings.pop("bad/uvBroken.groovy")} == {"NglParseError"}
    assert {"UnusedVariable", "AssignmentInConditional"} <= {each["rule"] for each in findings.pop("bad/uvBad.groovy")}
    told = [f"{path}:{each['line']}: {each['rule']}: {each['msg']}" for path in findings for each in findings[path]]
    assert told == []


def test_shell_of_the_library() -> None:
    """Each follows `begin.sh` and the variables that the library sets, so some are only used, or only set."""
    if SHELL:
        check("shellcheck", "--shell=sh", "--severity=style", "--exclude=SC2034,SC2154", *SHELL)
    for shell in (("dash",), ("busybox", "sh")):
        for path in SHELL:
            check(*shell, "-n", path)
