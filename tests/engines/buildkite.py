"""Buildkite on this machine: the real agent runs jobs of real pipelines, without Buildkite itself.

A pipeline is read by `buildkite-agent pipeline upload --dry-run`, and each of its jobs run by `buildkite-agent
bootstrap`, as an agent on a host of one's own does, with strict single hooks. The plugins come from a git repository
that is the release tree. What jobs ask of Buildkite's API is answered by a stand-in (`buildkite_api.py`).

What Buildkite's servers do is done here in a few lines, and stands for it: a step with a `matrix` becomes jobs, `wait`
and `depends_on` hold steps back, `if` knows `build.tag` alone. Steps run one after the other, in the order they are
written.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from engines.buildkite_api import TOKEN, AgentApi, Build
from engines.github import NETWORK_VARIABLES, SYSTEM_PATH
from engines.outcome import Outcome

VERSION = "v1.2.3"
Situation = Literal["default-branch", "change", "tag"]

# Components whose plugin owns the step's command.
OWN_THE_COMMAND = ("test", "build", "publish")

# What the agent hides by itself: clicommand/global.go of the agent.
_REDACTED = (
    "*_PASSWORD,*_SECRET,*_TOKEN,*_PRIVATE_KEY,*_SSH_KEY,*_ACCESS_KEY,*_SECRET_KEY,*_CONNECTION_STRING,*_API_KEY"
)

# A hook of the agent itself, before those of plugins: what later hooks see, and the checkout as it is.
_PRE_EXIT = """\
#!/bin/bash
env -0 > "$ENGINE_END.env"
cp -al . "$ENGINE_END.workspace"
"""


@dataclass
class Job:
    """What a user would see of one job."""

    key: str  # of its step, or "step-<n>"
    matrix: dict[str, str]
    exit: int | None  # None if it was held back
    log: str = ""  # without colours, redacted by the agent
    env: dict[str, str] = field(default_factory=dict)  # at the end, as hooks see it
    workspace: Path = Path()  # a copy of the checkout, as it was at the end
    seconds: float = 0

    @property
    def ok(self) -> bool:
        return self.exit == 0


@dataclass
class Run:
    """What a user would see of one build."""

    jobs: list[Job]
    build: Build

    @property
    def ok(self) -> bool:
        return all(job.ok for job in self.jobs)

    @property
    def log(self) -> str:
        return "\n".join(job.log for job in self.jobs)

    @property
    def annotations(self) -> str:
        """The text of all boxes on the build's page."""
        return "\n".join(each.body for each in self.build.annotations.values())

    @property
    def artifacts(self) -> dict[str, bytes]:
        """The content of the newest file of each path that came whole."""
        return {each.path: each.data for each in self.build.artifacts if each.finished and each.data is not None}

    @property
    def meta_data(self) -> dict[str, str]:
        """What jobs have set; the agent's own keys are left out."""
        return {key: value for key, value in self.build.meta_data.items() if not key.startswith("buildkite:")}

    def styles(self) -> set[str]:
        """How the boxes look: `error`, `warning`, `info`, `success`."""
        return {each.style for each in self.build.annotations.values()}

    def job(self, key: str, **matrix: str) -> Job:
        """The job of a step; for one of several, with these values of its matrix."""
        return next(each for each in self.jobs if each.key == key and matrix.items() <= each.matrix.items())


class Buildkite:
    """A pipeline with one host of agents; what a host keeps is kept between runs."""

    def __init__(
        self,
        state: Path,
        agent: Path,
        api: AgentApi,
        plugins: Path,
        release: Path,
        tool_cache: Path,
        tools_cache: Path,
        python: Path,
    ) -> None:
        """`state` is a new folder of this instance's own, `agent` the program, `plugins` the repository with the
        release tree, tagged VERSION."""
        self.state = state
        self.agent = agent
        self.api = api
        self.plugins = plugins
        self.release = release
        self.tools_cache = tools_cache
        self.home = state / "home"
        self.temporary = state / "tmp"  # TMPDIR of all jobs
        self.store = state / "cache-store"
        self._runs = itertools.count(1)
        self._bin = state / "bin"
        self._hooks = state / "hooks"
        for folder in (self.home, self.temporary, self.store, self._bin, self._hooks):
            folder.mkdir(parents=True)
        _write_program(self._hooks / "pre-exit", _PRE_EXIT)
        # Where the installer keeps uv by itself: a host that isn't new has it.
        installed = self.home / ".cache" / "uv-actions" / "uv"
        installed.parent.mkdir(parents=True)
        tool_cache.mkdir(parents=True, exist_ok=True)
        installed.symlink_to(tool_cache)
        # Not a link: uv takes the folder of a link for the home of that Python.
        _write_program(self._bin / "python3", f'#!/bin/sh\nexec "{python}" "$@"\n')

    def plugin(self, name: str, **options: Any) -> dict[str, Any]:
        """A plugin of this release as a step names it; `_` in an option's name is a `-`."""
        given = {key.replace("_", "-"): value for key, value in options.items()}
        return {f"file://{self.plugins}/buildkite-plugins/{name}#{VERSION}": given or None}

    def left_over(self) -> list[str]:
        """What jobs have left in the host's folder for temporary files; uv's own locks aside."""
        names = [each.name for each in self.temporary.iterdir()]
        return [name for name in names if not re.fullmatch(r"uv-[0-9a-f]+\.lock", name)]

    def step(self, project: Path, *plugins: dict[str, Any], command: str | None = None, **more: Any) -> Run:
        """A build of one step; `more` is as for `run`."""
        step: dict[str, Any] = {"key": "step", "plugins": list(plugins)}
        if command is not None:
            step["command"] = command
        return self.run(project, {"steps": [step]}, **more)

    def run(
        self,
        project: Path,
        pipeline: str | Mapping[str, Any],
        *,
        branch: str = "main",
        default_branch: str = "main",
        tag: str = "",
        pull_request: str = "",
        pull_request_repo: str = "",
        env: Mapping[str, str] | None = None,
        path: Sequence[Path] = (),
        system_path: str = SYSTEM_PATH,
        agent: str = "agent-1",
        build: Build | None = None,
        cancel_at: str = "",
        timeout: float = 120,
    ) -> Run:
        """Runs a build on the committed state of `project`.

        `pipeline` is YAML, in which the agent replaces variables, or its content, whose text arrives as it is. `env` is
        the environment that the host gives to its jobs, `path` comes first on its PATH, `agent` is the agent's name.
        `build` goes on with an earlier build. A job is cancelled as soon as its log has `cancel_at`. Raises
        TimeoutError, with the log's end, where a job takes longer than `timeout` seconds.
        """
        number = next(self._runs)
        build = build or self.api.new_build()
        host = self._environment(env or {}, path, system_path, agent)
        variables = {
            "BUILDKITE": "true",
            "CI": "true",
            "BUILDKITE_BUILD_ID": build.identifier,
            "BUILDKITE_BUILD_NUMBER": str(number),
            "BUILDKITE_ORGANIZATION_SLUG": "acme",
            "BUILDKITE_PIPELINE_SLUG": "app",
            "BUILDKITE_PIPELINE_PROVIDER": "git",
            "BUILDKITE_PIPELINE_DEFAULT_BRANCH": default_branch,
            "BUILDKITE_SOURCE": "webhook",
            "BUILDKITE_REPO": f"file://{project}",
            "BUILDKITE_COMMIT": _git(project, "rev-parse", "HEAD"),
            # A build of a tag has the tag's name for its branch.
            "BUILDKITE_BRANCH": tag or branch,
            "BUILDKITE_TAG": tag,
            "BUILDKITE_PULL_REQUEST": pull_request or "false",
            "BUILDKITE_PULL_REQUEST_REPO": pull_request_repo,
            "BUILDKITE_PULL_REQUEST_BASE_BRANCH": default_branch if pull_request else "",
        }
        document = self.upload(pipeline, {**host, **variables})
        jobs: list[Job] = []
        after_wait = len(jobs)
        for place, step in enumerate(_steps(document), start=1):
            if "wait" in step:
                after_wait = len(jobs)
                continue
            key = step.get("key") or f"step-{place}"
            if not _applies(step.get("if", ""), tag):
                continue
            needed = step.get("depends_on") or []
            needed = [needed] if isinstance(needed, str) else needed
            before = [job for index, job in enumerate(jobs) if index < after_wait or job.key in needed]
            for values in matrix_of(step):
                if not all(job.ok for job in before):
                    jobs.append(Job(key, values, exit=None))
                    continue
                job_variables = self._job_variables(with_matrix(step, values), document.get("env") or {})
                job_variables["BUILDKITE_STEP_KEY"] = step.get("key") or ""
                job_variables["BUILDKITE_JOB_ID"] = self.api.new_job(build, step.get("key") or "")
                folder = self.state / "runs" / f"{number}-{len(jobs) + 1}"
                began = time.monotonic()
                code, log = self._bootstrap({**host, **variables, **job_variables}, folder, cancel_at, timeout)
                environment = _read_environment(folder / "end.env")
                seconds = time.monotonic() - began
                jobs.append(Job(key, values, code, log, environment, folder / "end.workspace", seconds))
        return Run(jobs, build)

    def upload(self, pipeline: str | Mapping[str, Any], env: Mapping[str, str] | None = None) -> dict[str, Any]:
        """What the agent makes of a pipeline: its variables replaced, in its full form.

        Raises ValueError, with the agent's words, for one that it refuses.
        """
        text, more = pipeline, []
        if not isinstance(text, str):
            text, more = yaml.safe_dump(pipeline), ["--no-interpolation"]
        environment = {**(env or {}), "BUILDKITE_AGENT_ACCESS_TOKEN": TOKEN}
        with tempfile.TemporaryDirectory(dir=self.state) as folder:
            file = Path(folder) / "pipeline.yml"
            file.write_text(text, encoding="utf-8")
            command = [self.agent, "pipeline", "upload", "--dry-run", "--format", "json", *more, file]
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
            )
        if done.returncode:
            raise ValueError(done.stderr)
        return json.loads(done.stdout)

    def components(
        self,
        project: Path,
        steps: list[tuple[str, dict[str, str]]],
        *,
        situation: Situation = "default-branch",
        env: dict[str, str] | None = None,
        secrets: dict[str, str] | None = None,
        branch: str = "main",
        timeout: float = 240,
    ) -> Outcome:
        """Runs components with GitHub's names and text forms of options, as steps that a user would write.

        Plugins with a command of their own end a step, whose time stands with them. Setup and cache get a store in this
        host's state, unless they name one.
        """
        pipeline, owners = self._as_pipeline(steps)
        run = self.run(
            project,
            pipeline,
            branch=branch if situation != "change" or branch != "main" else "feature",
            default_branch=branch if situation == "default-branch" else "main",
            tag="v1.2.3" if situation == "tag" else "",
            pull_request="7" if situation == "change" else "",
            env={**(env or {}), **(secrets or {})},
            timeout=timeout,
        )
        outputs: dict[str, dict[str, str]] = {}
        failed, code = "", None
        for job, components in zip(run.jobs, owners, strict=True):
            for component in components:
                outputs[component] = {**outputs.get(component, {}), **self._outputs(component, job.env)}
            if job.exit and not failed:
                failed, code = _who_failed(job, components), job.exit
        seconds = {components[-1]: job.seconds for job, components in zip(run.jobs, owners, strict=True)}
        return Outcome(run.ok, run.log, outputs, run.annotations, failed, code, seconds)

    def _as_pipeline(self, steps: list[tuple[str, dict[str, str]]]) -> tuple[dict[str, Any], list[list[str]]]:
        """The pipeline for components, and which of them each of its steps has."""
        written: list[dict[str, Any]] = []
        owners: list[list[str]] = []
        for component, options in steps:
            if component == "cache" and options.get("mode") == "save":
                continue  # the plugin does both halves
            if not written or "command-owner" in written[-1]:
                written.append({"plugins": []})
                owners.append([])
            given = {name: text for name, text in options.items() if (component, name) != ("cache", "mode")}
            if component in ("setup", "cache"):
                given.setdefault("cache-store", str(self.store))
            if component == "publish" and "password" in given:
                given["password-env"] = given.pop("password")
            types = self._option_types(component)
            typed = {name: _typed(text, types.get(name, {})) for name, text in given.items()}
            written[-1]["plugins"].append(self.plugin(f"uv-{component}", **typed))
            owners[-1].append(component)
            if component in OWN_THE_COMMAND:
                written[-1]["command-owner"] = True
        for step in written:
            if not step.pop("command-owner", False):
                step["command"] = "true"
        between: list[Any] = []
        for step in written:
            between += [step, "wait"]
        return {"steps": between[:-1]}, owners

    @functools.cache  # noqa: B019 - an instance lives as long as its test
    def _option_types(self, component: str) -> dict[str, dict[str, Any]]:
        file = self.release / "buildkite-plugins" / f"uv-{component}" / "options.json"
        return json.loads(file.read_text(encoding="utf-8"))

    def _outputs(self, component: str, env: Mapping[str, str]) -> dict[str, str]:
        """The outputs of a component by the names that its GitHub action has."""
        action = yaml.safe_load((self.release / component / "action.yml").read_text(encoding="utf-8"))
        variables = {name: f"UV_ACTIONS_{_as_variable(component)}_{_as_variable(name)}" for name in action["outputs"]}
        return {name: env[variable] for name, variable in variables.items() if variable in env}

    def _environment(
        self, env: Mapping[str, str], path: Sequence[Path], system_path: str, agent: str
    ) -> dict[str, str]:
        """What an agent gives to its jobs, whatever they are."""
        return {
            **{name: os.environ[name] for name in NETWORK_VARIABLES if name in os.environ},
            "PATH": os.pathsep.join([*map(str, path), str(self._bin), system_path]),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.temporary),
            "UV_ACTIONS_TOOLS_CACHE": str(self.tools_cache),
            "BUILDKITE_AGENT_ACCESS_TOKEN": TOKEN,
            "BUILDKITE_AGENT_ENDPOINT": self.api.url,
            "BUILDKITE_AGENT_NAME": agent,
            "BUILDKITE_BIN_PATH": str(self.agent.parent),
            "BUILDKITE_BUILD_PATH": str(self.state / "builds"),
            "BUILDKITE_PLUGINS_PATH": str(self.state / "plugins"),
            "BUILDKITE_HOOKS_PATH": str(self._hooks),
            "BUILDKITE_SHELL": "/bin/bash -e -c",
            "BUILDKITE_COMMAND_EVAL": "true",
            "BUILDKITE_PLUGINS_ENABLED": "true",
            "BUILDKITE_LOCAL_HOOKS_ENABLED": "true",
            "BUILDKITE_STRICT_SINGLE_HOOKS": "true",
            "BUILDKITE_SSH_KEYSCAN": "false",
            "BUILDKITE_REDACTED_VARS": _REDACTED,
            **env,
        }

    def _job_variables(self, step: Mapping[str, Any], env: Mapping[str, Any]) -> dict[str, str]:
        """What Buildkite tells an agent of a job."""
        command = step.get("command") or step.get("commands") or ""
        paths = step.get("artifact_paths") or ""
        variables = {name: str(value) for name, value in {**env, **(step.get("env") or {})}.items()}
        return {
            **variables,
            "BUILDKITE_COMMAND": command if isinstance(command, str) else "\n".join(command),
            "BUILDKITE_ARTIFACT_PATHS": paths if isinstance(paths, str) else ";".join(paths),
            "BUILDKITE_LABEL": str(step.get("label") or ""),
            **({"BUILDKITE_PLUGINS": json.dumps(step["plugins"])} if step.get("plugins") else {}),
        }

    def _bootstrap(self, environment: dict[str, str], folder: Path, cancel_at: str, timeout: float) -> tuple[int, str]:
        """Runs a job; its exit code and its log."""
        folder.mkdir(parents=True)
        output = folder / "log"
        # A path of a socket has at most 108 bytes.
        with tempfile.TemporaryDirectory(prefix="bk", dir="/tmp") as sockets, output.open("wb") as log:
            environment = {**environment, "BUILDKITE_SOCKETS_PATH": sockets, "ENGINE_END": str(folder / "end")}
            process = subprocess.Popen(
                [self.agent, "bootstrap"], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            try:
                if cancel_at:
                    _wait_for(output, cancel_at, timeout)
                    process.send_signal(signal.SIGTERM)
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                raise TimeoutError(f"no end after {timeout} s:\n{_plain(output)[-6000:]}") from None
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        return process.returncode, _plain(output)


def plugin_repository(release: Path, folder: Path) -> Path:
    """A git repository `uv-actions.git` in `folder`, with the release tree under the tag VERSION."""
    repository = folder / "uv-actions.git"
    shutil.copytree(release, repository)
    identity = ["-c", "user.name=ci", "-c", "user.email=ci@example.org", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", VERSION], ["tag", VERSION]):
        subprocess.run(["git", *arguments], cwd=repository, check=True)
    return repository


# ---------------------------------------------------------------------------------------------------------------------
# What Buildkite does with a pipeline


def _steps(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The steps that run, those of groups among them; `{"wait": …}` for one that holds the others back."""
    for step in document["steps"]:
        if isinstance(step, str):
            step = {step: None}
        if "waiter" in step:
            step = {"wait": None}
        if "group" in step:
            yield from _steps(step)
        elif step.keys() & {"block", "input", "trigger"}:
            raise ValueError(f"the engine can't run the step {step}")
        else:
            yield step


def _applies(condition: str, tag: str) -> bool:
    known = {"": True, "build.tag != null": bool(tag), "build.tag == null": not tag}
    if condition not in known:
        raise ValueError(f"the engine can't judge `if: {condition}`")
    return known[condition]


def matrix_of(step: Mapping[str, Any]) -> list[dict[str, str]]:
    """The values of each job of a step; `{"": value}` for a matrix of one dimension."""
    matrix = step.get("matrix")
    if not matrix:
        return [{}]
    setup = matrix.get("setup") if isinstance(matrix, dict) else matrix
    dimensions = setup if isinstance(setup, dict) else {"": setup}
    products = itertools.product(*dimensions.values())
    return [dict(zip(dimensions, map(str, values), strict=True)) for values in products]


def with_matrix(value: Any, values: Mapping[str, str]) -> Any:
    """The same with `{{matrix}}` and `{{matrix.name}}` replaced in all texts."""
    if isinstance(value, str):
        for name, text in values.items():
            token = r"\{\{\s*matrix" + (rf"\.{re.escape(name)}" if name else "") + r"\s*\}\}"
            value = re.sub(token, lambda _, text=text: text, value)
        return value
    if isinstance(value, dict):
        return {with_matrix(key, values): with_matrix(each, values) for key, each in value.items()}
    return [with_matrix(each, values) for each in value] if isinstance(value, list) else value


# ---------------------------------------------------------------------------------------------------------------------
# Pieces


def _typed(text: str, option: Mapping[str, Any]) -> Any:
    """What a user writes in YAML for GitHub's text of an option."""
    if option.get("type") == "array":
        return [line.strip() for line in text.splitlines() if line.strip()]
    if option.get("type") == "boolean" or True in option.get("enum", ()):
        return {"true": True, "false": False}.get(text, text)
    return text


def _who_failed(job: Job, components: Sequence[str]) -> str:
    """The component whose hook ended the job: the last one whose hook the log has begun."""
    begun = re.findall(r"Running plugin \S*?uv-([a-z-]+) (?:pre-command|command) hook", job.log)
    return begun[-1] if begun else components[-1]


def _as_variable(name: str) -> str:
    return name.upper().replace("-", "_")


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.check_output(["git", *arguments], cwd=folder, encoding="utf-8").strip()


def _wait_for(output: Path, text: str, timeout: float) -> None:
    end = time.monotonic() + timeout
    while text not in _plain(output):
        if time.monotonic() > end:
            raise TimeoutError(f"the log hasn't {text!r} after {timeout} s:\n{_plain(output)[-6000:]}")
        time.sleep(0.05)


def _plain(output: Path) -> str:
    """The log as people read it: without colours and the agent's own timestamps."""
    text = output.read_bytes().decode(errors="replace").replace("\r\n", "\n")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b_bk;t=\d+\x07", "", text)
    return re.sub(r"[^\n]*\r", "", text)  # lines that others were written over


def _read_environment(file: Path) -> dict[str, str]:
    if not file.exists():
        return {}
    pairs = file.read_text(encoding="utf-8", errors="replace").split("\0")
    return dict(each.split("=", 1) for each in pairs if "=" in each and not each.startswith("ENGINE_"))


def _write_program(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
