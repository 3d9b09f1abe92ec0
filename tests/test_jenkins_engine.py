"""The Jenkins engine itself: what it tells about a build is what happened, and it fails where Jenkins would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from engines.jenkins import Jenkins, Run, Secret, jar
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


def is_running(file: Path) -> bool:
    """Whether the process runs whose number a file has; one that nobody has waited for doesn't."""
    process = Path("/proc", file.read_text().strip())
    return process.exists() and process.joinpath("cmdline").read_bytes() != b""


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


LIBRARY_STEP = "library(identifier: 'lib@v1', retriever: modernSCM([$class: 'GitSCMSource', remote: env.REMOTE]))"


def test_a_library_is_fetched_by_a_retriever(
    run: Callable[..., Run],
    library: Callable[[Mapping[str, str]], dict[str, Path]],
    commit_all: Callable[[Path], None],
) -> None:
    remote = library({"vars/greet.groovy": "def call() { echo 'fetched' }\n"})["lib@v1"]
    commit_all(remote)
    without = run(f"{LIBRARY_STEP}\ngreet()", env={"REMOTE": str(remote)})
    assert without.result == "FAILURE"
    assert "Remote branch v1 not found" in without.log
    subprocess.run(["git", "tag", "v1"], cwd=remote, check=True)
    done = run(f"{LIBRARY_STEP}\ngreet()", env={"REMOTE": str(remote)})
    assert done.ok, done.log
    assert "\nfetched\n" in done.log


@pytest.mark.parametrize(
    ("held", "kind"),
    [
        ("def m = 'abc' =~ /b/", "java.util.regex.Matcher"),
        ("def m = firstOf([a: 1])", "java.util.LinkedHashMap$Entry"),
        ("def m = new StringReader('x')", "java.io.StringReader"),
    ],
)
def test_what_is_not_serializable_can_not_be_held_across_a_step(run: Callable[..., Run], held: str, kind: str) -> None:
    first_of = "@NonCPS def firstOf(map) { for (entry in map) { return entry } }"
    done = run(f"{first_of}\nnode {{\n {held}\n sh 'echo ran'\n echo \"${{m}}\"\n}}")
    assert done.result == "FAILURE"
    assert f"NotSerializableException: {kind}, held while the step sh runs" in done.exception
    assert "WorkflowScript.run(WorkflowScript:4)" in done.log
    assert "\nran\n" not in done.log


def test_loops_and_closures_may_have_steps_inside(run: Callable[..., Run]) -> None:
    done = run(
        """
        def said = []
        def say = { text -> said << sh(script: "echo '${text}'", returnStdout: true).trim() }
        node {
            for (x in ['list', 'of']) { say(x) }
            for (x in (['set'] as Set)) { say(x) }
            ['each'].each { say(it) }
            [map: 'pair'].each { k, v -> say("${k} ${v}") }
            for (e in [entry: 'set'].entrySet()) { say("${e.key} ${e.value}") }
            for (int i = 0; i < 2; i++) { say("round ${i}") }
            said << ['collected'].collect { sh(script: "echo ${it}", returnStdout: true).trim() }.join(',')
            try {
                say('try')
                throw new IOException('x')
            } catch (IOException e) {
                say('caught')
            } finally {
                say('end')
            }
        }
        return said
        """
    )
    assert done.value == [
        *("list", "of", "set", "each", "map pair", "entry set", "round 0", "round 1", "collected"),
        *("try", "caught", "end"),
    ]
    assert done.saves > len(done.value)


def test_a_step_in_plain_code_ends_the_build(run: Callable[..., Run]) -> None:
    done = run("@NonCPS def bad() { sh 'echo out'; return 1 }\nnode { bad() }")
    assert done.result == "FAILURE"
    assert "expected to call WorkflowScript.bad but wound up catching sh" in done.exception


def test_what_a_step_does_not_know_is_refused(run: Callable[..., Run]) -> None:
    done = run(
        """
        node {
            for (bad in [{ sh(scripts: 'x') }, { withEnv(['A=1']) }, { readJSON(text: '{}') }, { junit('x.xml') }]) {
                try { bad() } catch (Throwable e) { echo "${e.class.simpleName}: ${e.message}" }
            }
        }
        sh 'true'
        """,
        plugins=set(),
    )
    assert "IllegalArgumentException: Unknown parameter(s) found for the step sh: scripts\n" in done.log
    assert "IllegalStateException: withEnv step must be called with a body\n" in done.log
    assert "NoSuchMethodError: No such DSL method 'readJSON' found among steps [ansiColor, " in done.log
    assert "NoSuchMethodError: No such DSL method 'junit' found among steps" in done.log
    assert "ERROR: Required context class hudson.FilePath is missing\nPerhaps you forgot to surround the sh" in done.log


def test_a_script_runs_as_jenkins_runs_it(run: Callable[..., Run]) -> None:
    done = run(
        """
        node {
            sh 'echo traced'
            sh '#!/bin/sh -e\\necho plain; cat; echo "read nothing"'
            env.CODES = [sh(script: 'exit 3', returnStatus: true), sh(script: 'no-such-program', returnStatus: true)]
            sh 'sleep 300 >/dev/null 2>&1 & echo $! > sleeper'
            dir('sub') { sh 'ls -a "$PWD@tmp"' }
            sh(script: 'false; echo never', label: 'A label')
        }
        """
    )
    assert "\n+ echo traced\ntraced\n" in done.log
    assert "\n[Pipeline] sh\nplain\nread nothing\n" in done.log
    assert done.env["CODES"] == "[3, 127]"
    assert "\ndurable-" in done.log
    assert "\nnever\n" not in done.log
    assert done.shells[-1]["label"] == "A label"
    assert (done.exit, done.shells[-1]["status"]) == (1, 1)
    assert not is_running(done.workspace / "sleeper")


def test_a_job_of_its_own_may_have_blanks_in_its_path(run: Callable[..., Run]) -> None:
    script = "sh '#!/bin/sh\\npwd'\n sh 'pwd'"
    done = run(f"node {{ checkout scm\n {script}\n dir('a b') {{ {script} }} }}", situation="plain", job="team/my job")
    assert done.ok, done.log
    assert done.workspace.parts[-3:] == ("workspace", "team", "my job")
    assert (done.workspace / "file.txt").exists()
    assert done.log.count(f"\n{done.workspace}\n") == 2
    assert done.log.count(f"\n{done.workspace}/a b\n") == 2


def test_secrets_are_masked_inside_of_their_block(run: Callable[..., Run]) -> None:
    done = run(
        """
        node {
            withCredentials([string(credentialsId: 'token', variable: 'TOKEN'),
                             usernamePassword(credentialsId: 'user', usernameVariable: 'U', passwordVariable: 'P'),
                             file(credentialsId: 'file', variable: 'F')]) {
                sh '''#!/bin/sh
                    echo "$TOKEN"; printf %s "$TOKEN" | base64
                    set -- "$P"; echo "user $U"; cat "$F"; echo "at $F"'''
                sh 'case $F in *@tmp/secretFiles/*/key.txt) echo "is beside";; esac; echo "$F" > place'
            }
            sh 'if [ -e "$(cat place)" ]; then echo "still there"; fi; echo "${TOKEN-gone}"'
        }
        """,
        credentials={
            "token": Secret.text("s3cret'value"),
            "user": Secret.user("someone", "pass word"),
            "file": Secret.file("key.txt", "content of the file\n"),
        },
    )
    assert done.ok, done.log
    assert "Masking supported pattern matches of $TOKEN or $P or $F\n" in done.log
    assert "s3cret" not in done.log
    assert "pass word" not in done.log
    assert "\n****\n****\nuser someone\ncontent of the file\nat ****\n" in done.log
    assert "\nis beside\n" in done.log
    assert "still there" not in done.log
    assert "\ngone\n" in done.log
    assert done.leaks == []


def test_where_a_secret_leaks_is_told(run: Callable[..., Run]) -> None:
    done = run(
        """
        node {
            withCredentials([string(credentialsId: 'token', variable: 'TOKEN')]) {
                def copy = env.TOKEN
                sh "echo ${copy}"
            }
        }
        """,
        credentials={"token": Secret.text("s3cret-value")},
    )
    assert 'A secret was passed to "sh" using Groovy String interpolation, which is insecure' in done.log
    assert set(done.leaks) == {
        "the saved program holds TOKEN at the step sh",
        "the step sh was given TOKEN by a Groovy string",
    }


WRONG_KIND = (
    "Credentials 'user' is of type 'Username with password' where "
    "'org.jenkinsci.plugins.plaincredentials.StringCredentials' was expected"
)


@pytest.mark.parametrize(
    ("name", "message"), [("no", "Could not find credentials entry with ID 'no'"), ("user", WRONG_KIND)]
)
def test_a_credential_that_is_not_there_ends_the_build(run: Callable[..., Run], name: str, message: str) -> None:
    done = run(
        f"node {{ withCredentials([string(credentialsId: '{name}', variable: 'X')]) {{ }} }}",
        credentials={"user": Secret.user("a", "b")},
    )
    assert done.exception == f"hudson.AbortException: {message}"


def test_containers_have_a_path_and_a_home_of_their_own(run: Callable[..., Run], tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.mkdir()
    (image / "only-here").write_text("#!/bin/sh\necho yes\n")
    (image / "only-here").chmod(0o755)
    done = run(
        """
        def show(where) {
            note name: where, value: sh(script: '''#!/bin/sh
                echo "$(only-here 2>/dev/null || echo no)|$PATH|$HOME|$A|$B|$USER|$WORKSPACE"
                mkdir -p "$HOME/x" 2>/dev/null && echo writable || true''', returnStdout: true)
        }
        node {
            withEnv(['PATH+X=/x', 'A=1']) {
                docker.image('py').inside('-u 1000 -e B=2') { show('inside') }
                container('py') { show('changed') }
            }
            container('py') { show('own'); sh 'true' }
            docker.image('other').inside { }
        }
        """,
        images={"py": [image, Path("/usr/bin"), Path("/bin")]},
    )
    own_path, home = f"{image}:/usr/bin:/bin", "/sys" if os.geteuid() == 0 else "/"
    assert done.notes["inside"] == f"yes|{own_path}|{home}|1|2||{done.workspace}\n"
    # As on a real pod: a PATH that a block has changed is the agent's.
    assert done.notes["changed"].startswith("no|/x:")
    assert re.fullmatch(rf"yes\|{own_path}\|.*/containers/py\|\|\|\|{done.workspace}\nwritable\n", done.notes["own"])
    assert done.exception.startswith("hudson.AbortException: Unable to find image 'other'")


# Each of two processes ends only if the other one runs at the same time.
MEET = "touch here-{0}; for i in $(seq 100); do [ ! -e {1}here-{2} ] || exit 0; sleep 0.1; done; exit 9"


def test_branches_run_at_the_same_time_and_share_what_they_shared(run: Callable[..., Run]) -> None:
    done = run(
        f"""
        def seen = [:]
        node {{
            def values = parallel(
                one: {{ sh '{MEET.format("a", "", "b")}'; seen.one = 1; sh 'true'; 'first' }},
                two: {{ sh '{MEET.format("b", "", "a")}'; seen.two = 2; 'second' }},
            )
            return [seen, values]
        }}
        """
    )
    assert done.ok, done.log
    assert done.value == [{"one": 1, "two": 2}, {"one": "first", "two": "second"}]


def test_a_failed_branch_stops_the_others_where_that_is_asked_for(run: Callable[..., Run]) -> None:
    done = run(
        """
        node {
            parallel failFast: true, bad: { sh 'exit 4' }, slow: {
                try { sh 'echo $$ > pid; exec sleep 100' } catch (e) { env.STOPPED = e.class.simpleName; throw e }
            }
        }
        """,
        timeout=60,
    )
    assert (done.result, done.exit) == ("FAILURE", 4)
    assert done.env["STOPPED"] == "FlowInterruptedException"
    assert not is_running(done.workspace / "pid")


def test_two_builds_of_one_job_have_workspaces_of_their_own(jenkins: Jenkins, checkout: Path) -> None:
    runs: dict[str, Run] = {}

    def build(mine: str, other: str) -> None:
        meet = MEET.format(mine, "../*/", other).replace("[ ! -e ", "! ls ").replace(" ]", " >/dev/null 2>&1")
        runs[mine] = jenkins.run(checkout, f"node {{ sh '{meet}'\n return [env.WORKSPACE, env.EXECUTOR_NUMBER] }}")

    threads = [threading.Thread(target=build, args=each) for each in (("a", "b"), ("b", "a"))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [run.result for run in runs.values()] == ["SUCCESS", "SUCCESS"], [run.log for run in runs.values()]
    first, second = sorted(run.value for run in runs.values())
    assert second[0] == f"{first[0]}@2"
    assert {first[1], second[1]} == {"0", "1"}


def test_a_node_waits_for_a_free_executor(run: Callable[..., Run]) -> None:
    done = run(
        """
        parallel(one: { node { sh 'sleep 0.5; echo first' } },
                 two: { sleep time: 100, unit: 'MILLISECONDS'; node { sh 'echo second' } })
        """,
        executors=1,
    )
    assert done.ok, done.log
    assert "Waiting for next available executor" in done.log
    assert [each["script"].split()[-1] for each in done.shells] == ["first", "second"]


def test_blocks_around_failures_do_what_they_say(run: Callable[..., Run]) -> None:
    done = run(
        """
        node {
            retry(3) { sh 'echo x >> tries; [ "$(wc -l < tries)" = 3 ]' }
            catchError(buildResult: 'UNSTABLE', message: 'so it goes') { error 'caught' }
            env.AFTER_CATCH = currentBuild.currentResult
            try {
                timeout(time: 1, unit: 'SECONDS') { sh 'sleep 100' }
            } catch (e) { env.TIMEOUT = e.class.name }
            stage('outer') { stage('inner') { warnError('warned') { sh 'exit 2' } } }
            currentBuild.description = 'described'
            currentBuild.result = 'SUCCESS'
        }
        """,
        timeout=60,
    )
    assert done.result == "UNSTABLE"
    assert (done.workspace / "tries").read_text() == "x\nx\nx\n"
    assert done.env["AFTER_CATCH"] == "UNSTABLE"
    assert done.env["TIMEOUT"] == "org.jenkinsci.plugins.workflow.steps.FlowInterruptedException"
    assert "Cancelling nested steps due to timeout" in done.log
    assert [stage["name"] for stage in done.stages] == ["outer", "inner"]
    assert done.description == "described"


def test_files_travel_as_stashes_and_stay_as_artifacts(run: Callable[..., Run]) -> None:
    done = run(
        """
        node {
            writeFile file: 'out/a.txt', text: 'A'
            sh 'printf "#!/bin/sh" > out/b.sh; chmod +x out/b.sh; mkdir -p out/deep; touch out/deep/c.txt out/d.log'
            stash name: 'made', includes: 'out/**', excludes: '**/*.log'
            archiveArtifacts artifacts: 'out/*.txt, out/deep/'
            deleteDir()
            unstash 'made'
            def found = sh(script: 'find . -type f | sort; test -x out/b.sh', returnStdout: true).split().toList()
            for (bad in [{ unstash 'no' }, { stash name: 'x', includes: 'no/*' }, { archiveArtifacts 'no' },
                         { readFile 'no' }, { libraryResource 'no' }]) {
                try { bad() } catch (e) { echo "refused: ${e.message}" }
            }
            return [found, readFile('out/a.txt'), fileExists('out/d.log')]
        }
        """
    )
    assert done.value == [["./out/a.txt", "./out/b.sh", "./out/deep/c.txt"], "A", False]
    assert done.artifacts() == ["out/a.txt", "out/deep/c.txt"]
    refused = [line.removeprefix("refused: ") for line in done.log.splitlines() if line.startswith("refused: ")]
    assert refused == [
        "No such saved stash \u2018no\u2019",
        "No files included in stash \u2018x\u2019",
        'No artifacts found that match the file pattern "no". Configuration error?',
        f"{done.workspace}/no",
        "No such library resource no could be found.",
    ]


def test_reports_are_kept_and_failed_tests_make_the_build_unstable(run: Callable[..., Run]) -> None:
    sarif = {
        "runs": [{"results": [{"level": "error", "message": {"text": "bad"}, "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": "a.py"}, "region": {"startLine": 3}}}]}]}]
    }  # fmt: skip
    done = run(
        f"""
        node {{
            writeFile file: 'r/one.xml', text: '''<testsuites><testsuite><testcase classname="t" name="good"/>
                <testcase classname="t" name="bad"><failure message="no">at line 1</failure></testcase>
                <testcase classname="t" name="left"><skipped/></testcase></testsuite></testsuites>'''
            def told = junit('r/*.xml')
            env.COUNTS = [told.totalCount, told.failCount, told.skipCount, told.passCount]
            writeFile file: 'x.sarif', text: '''{json.dumps(sarif)}'''
            recordIssues(tools: [sarif(pattern: 'x.sarif', id: 'x', name: 'X')])
            recordCoverage(tools: [[parser: 'COBERTURA', pattern: 'x.sarif']], id: 'c')
            sh 'touch -d "1 hour ago" r/one.xml'
            junit 'r/*.xml'
        }}
        """
    )
    assert done.result == "FAILURE"
    assert done.env["COUNTS"] == "[3, 1, 1, 1]"
    assert "Test reports were found but none of them are new" in done.exception
    assert done.findings() == "t.bad: no\nat line 1\nerror a.py:3: bad"
    assert [(each["tool"], each["files"], each["id"]) for each in done.issues] == [("sarif", ["x.sarif"], "x")]
    assert [(each["tool"], each["files"], each["id"]) for each in done.coverage] == [("COBERTURA", ["x.sarif"], "c")]


SITUATIONS = {
    ("default-branch", "main"): ["main", "true", "null", "null", "null", "acme/project/main"],
    ("branch", "a/b"): ["a/b", "null", "null", "null", "null", "acme/project/a%2Fb"],
    ("change", "main"): ["PR-7", "null", "7", "null", "null", "acme/project/PR-7"],
    ("fork", "main"): ["PR-8", "null", "8", "stranger", "null", "acme/project/PR-8"],
    ("tag", "main"): ["v1.2.3", "null", "null", "null", "v1.2.3", "acme/project/v1.2.3"],
    ("plain", "main"): ["null", "null", "null", "null", "null", "acme/project"],
}


@pytest.mark.parametrize(("situation", "branch"), SITUATIONS)
def test_a_job_is_told_what_it_runs_for(run: Callable[..., Run], situation: str, branch: str) -> None:
    done = run(
        "[env.BRANCH_NAME, env.BRANCH_IS_PRIMARY, env.CHANGE_ID, env.CHANGE_FORK, env.TAG_NAME, env.JOB_NAME]"
        '.collect { "${it}".toString() }',
        situation=situation,
        branch=branch,
    )
    assert done.value == SITUATIONS[situation, branch], done.log


def test_the_plugin_jobcacher_keeps_what_branches_save_apart(jenkins: Jenkins, checkout: Path) -> None:
    jenkinsfile = """
        node {
            checkout scm
            sh 'rm -rf kept'
            cache(defaultBranch: 'main', caches: [arbitraryFileCache(path: '${WORKSPACE}/kept', cacheName: 'k',
                    cacheValidityDecidingFile: 'file.txt')]) {
                sh 'mkdir -p kept; ls kept > seen; echo "$BRANCH_NAME" > "kept/$BRANCH_NAME"'
                return readFile('seen').split().toList()
            }
        }
    """
    jobs = [("default-branch", []), ("default-branch", ["main"]), ("change", ["main"]), ("change", ["PR-7", "main"])]
    for situation, seen in jobs:
        done = jenkins.run(checkout, jenkinsfile, situation=situation, plugins={"jobcacher"})
        assert sorted(done.value) == sorted(seen), done.log


def test_libraries_are_loaded_where_they_are_named(
    run: Callable[..., Run], library: Callable[[Mapping[str, str]], dict[str, Path]]
) -> None:
    libraries = library({"vars/hello.groovy": "def call() { 'hello' }\ndef name() { 'it has methods too' }"})
    assert run("library('lib@v1')\nreturn [hello(), hello.name()]", libraries=libraries).value == [
        "hello",
        "it has methods too",
    ]
    assert "No version found for library lib@v2" in run("@Library('lib@v2') _\nhello()", libraries=libraries).exception
    assert "No such DSL method 'hello'" in run("hello()", libraries=libraries).exception


# ---------------------------------------------------------------------------------------------------------------------
# The sandbox


LIBRARY = {
    "vars/good.groovy": """
        def call(Map options = [:]) {
            def made = new org.acme.Made(this, 'x')
            sh "echo '${made.text()} ${pure(options)} ${env.BRANCH_NAME} ${params.P}'"
            try { noSuchStep() } catch (NoSuchMethodError e) { echo 'no step' }
            [1, 2].each { n -> sh "echo ${n + 1}" }
        }
        @NonCPS String pure(Map options) { options.a.toUpperCase() }
    """,
    "src/org/acme/Made.groovy": """
        package org.acme
        class Made implements Serializable {
            private final def script
            private final String word
            Made(script, String word) { this.script = script; this.word = word }
            String text() { script.echo 'from a class'; word * 2 }
        }
    """,
    "vars/property.groovy": "@NonCPS def call() { System.getProperty('user.home') }",
    "vars/file.groovy": "@NonCPS def call() { new File('/').list() }",
    "vars/cps.groovy": "def call() { new File('/').exists() }",
    "vars/hidden.groovy": "def call() { try { 'id'.execute() } catch (e) { echo 'hidden' } }",
    "vars/field.groovy": "import groovy.transform.Field\n@Field def home = System.getenv('HOME')\ndef call() { home }",
}
ALLOWED = """
# what `good` needs
method java.lang.String toUpperCase
method java.util.Map get java.lang.Object
staticMethod org.codehaus.groovy.runtime.DefaultGroovyMethods each java.util.List groovy.lang.Closure
staticMethod org.codehaus.groovy.runtime.StringGroovyMethods multiply java.lang.String java.lang.Number
"""


def test_what_is_allowed_runs_in_the_sandbox(
    run: Callable[..., Run], library: Callable[[Mapping[str, str]], dict[str, Path]], tmp_path: Path
) -> None:
    allow_list = tmp_path / "allow-list"
    allow_list.write_text(ALLOWED)
    done = run(
        "@Library('lib@v1') _\nnode { good(a: 'up') }",
        libraries=library(LIBRARY), mode="sandbox", params={"P": "q"}, allow_list=allow_list,
    )  # fmt: skip
    assert done.ok, done.log
    assert "\nxx UP main q\n" in done.log
    assert "\nno step\n" in done.log
    assert set(done.allowed) == {line for line in ALLOWED.splitlines() if line and not line.startswith("#")}


@pytest.mark.parametrize(
    ("call", "signature"),
    [
        ("property()", "staticMethod java.lang.System getProperty java.lang.String"),
        ("file()", "new java.io.File java.lang.String"),
        ("cps()", "new java.io.File java.lang.String"),
        ("hidden()", "staticMethod org.codehaus.groovy.runtime.DefaultGroovyMethods execute java.lang.String"),
        ("field()", "staticMethod java.lang.System getenv java.lang.String"),
        ("good(a: 'x')", "method java.util.Map get java.lang.Object"),
    ],
)
def test_what_is_not_allowed_is_refused_by_its_signature(
    call: str,
    signature: str,
    run: Callable[..., Run],
    library: Callable[[Mapping[str, str]], dict[str, Path]],
    tmp_path: Path,
) -> None:
    allow_list = tmp_path / "allow-list"
    allow_list.write_text("method java.util.concurrent.Callable call\n")
    done = run(
        f"@Library('lib@v1') _\nnode {{ {call} }}",
        libraries=library({**LIBRARY, "vars/good.groovy": "@NonCPS def call(Map options) { options.a }"}),
        mode="sandbox", allow_list=allow_list,
    )  # fmt: skip
    assert done.result == "FAILURE"
    assert done.refused == [signature]
    assert f"SecurityException: Scripts not permitted to use {signature}" in done.log


def test_a_build_without_end_is_ended_and_the_next_one_runs(jenkins: Jenkins, checkout: Path) -> None:
    endless = "node { sh 'echo $$ > pid; exec sleep 100' }"
    with pytest.raises(TimeoutError, match=r"no end after 4 s:\n(.*\n)*\[Pipeline\] sh\n"):
        jenkins.run(checkout, endless, timeout=4)
    (pid,) = jenkins.agent.glob("workspace/*/pid")
    assert not is_running(pid)
    with pytest.raises(TimeoutError, match="no end after 4 s"):
        jenkins.run(checkout, "while (true) { }", timeout=4)
    assert jenkins.run(checkout, "echo 'next'").ok


# ---------------------------------------------------------------------------------------------------------------------
# Components, and what the engine runs on


def test_components_are_written_as_a_user_would(
    new_jenkins: Callable[[str], Jenkins],
    checkout: Path,
    library: Callable[[Mapping[str, str]], dict[str, Path]],
) -> None:
    told = 'def call(Map options) { echo "${options.keySet().sort()}"; '
    root = library(
        {
            "setup/action.yml": "inputs: {groups: {description: 'Type: list.'}, sync: {description: 'Type: flag.'}}",
            "vars/uvSetup.groovy": """
                def call(Map options, Closure body) {
                    echo "${options.groups} ${options.sync.class.simpleName} ${options.pythonVersion}"
                    body([cacheState: 'miss', files: ['a', 'b'], passed: null])
                }
            """,
            "vars/uvBuild.groovy": told + "writeFile(file: 'd', text: ''); stash(options.stash); [sha256: ['h  d']] }",
            "vars/uvPublish.groovy": told
            + "withCredentials([string(credentialsId: options.credentialsId, variable: 'T')]) { sh 'echo \"$T\"' }\n"
            + 'error "uvPublish: ${options.sha256} (exit code 3)" }',
        }
    )["lib@v1"]
    jenkins = new_jenkins("components")
    jenkins.libraries = {"uv-actions@v1": root}
    steps = [
        ("setup", {"groups": "a\n it's $x \\ \n", "sync": "false", "python-version": "3.12"}),
        ("build", {}),
        ("publish", {"password": "TOKEN"}),
    ]
    done = jenkins.components(checkout, steps, secrets={"TOKEN": "hunter22"}, situation="change", branch="$(x)'\"/y")
    assert (done.ok, done.failed, done.exit) == (False, "publish", 3)
    assert "\n[a, it's $x \\] Boolean 3.12\n" in done.log
    assert "\n[credentialsId, sha256, stash]\n" in done.log
    assert "uvPublish: [h  d] (exit code 3)" in done.log
    assert "hunter22" not in done.log
    assert done.outputs == {
        "setup": {"cache-state": "miss", "files": "a\nb", "passed": ""},
        "build": {"sha256": "h  d"},
    }
    assert set(done.seconds) == {"setup", "build", "publish"}


def test_a_jar_that_is_not_what_it_must_be_is_refused(
    jenkins: Jenkins, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert jenkins.state.is_dir()  # so that this test is left out with the others where jars can't be had
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"jsr305:1\.3\.9 has the sha256 905721a0\w+, but must have 0000"):
        jar("com.google.code.findbugs:jsr305:1.3.9", "0" * 64)
    assert list((tmp_path / "uv-actions-tests" / "jars").iterdir()) == []


def test_a_registry_out_of_reach_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RuntimeError, match=r"^com\.cloudbees:groovy-cps:1\.31 couldn't be fetched from Maven Central"):
        jar("com.cloudbees:groovy-cps:1.31", "0" * 64)
