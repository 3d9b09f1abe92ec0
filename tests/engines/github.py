"""GitHub Actions on this machine: real workflows under `act`, without Docker and without GitHub.

`act` runs the jobs on the machine itself (`-self-hosted`), with its own cache and artifact servers on loopback. Actions
come from folders. What differs from a real runner is evened out here, so that a test sees what a user would see:

- act gives steps a terminal and loses the last lines of one that fails; a runner gives them a pipe (`_SHELL`);
- act splits the path of a step's script at blanks (`_SHELL`);
- act's RUNNER_TEMP is another path in each run; a hosted runner's never changes, and a cache's version hashes it;
- act tells outputs and summaries again at each level of nesting, and drops annotation properties that hold a `=`.

What stays different: act's cache server takes a second save under one key (the newest wins), and gives any ref every
entry. Post steps of nested actions work, and GITHUB_ACTION_REF is set.
"""

from __future__ import annotations

import copy
import json
import os
import random
import re
import shlex
import shutil
import socket
import sysconfig
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from engines.node import NODE
from engines.outcome import Outcome
from engines.process import run_to_the_end, without_colours, write_program

REPOSITORY = "octo-org/project"
COLLECTION = "org/uv-actions"
CHECKOUT = {"uses": "actions/checkout@v4"}  # act copies the project by itself, so the version doesn't matter

# What a machine needs to reach its package indexes. Nothing else of the caller's environment gets into a job.
NETWORK_VARIABLES = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    *(name for each in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY") for name in (each, each.lower())),
)
SYSTEM_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"

# Events whose entry under `on:` can't be empty.
_EVENT_DETAILS: dict[str, Any] = {
    "schedule": [{"cron": "0 3 * * *"}],
    "workflow_run": {"workflows": ["CI"]},
}

# Stands for the shell, or for node, that act starts. `exec 4>&1 … 3>&1` hands on the status from before the pipe.
_SHELL = """\
#!/bin/sh
{only_steps}
exec 4>&1
status=$({{ {{ {program} "$@" </dev/null 2>&1 3>&- 4>&-; echo $? >&3; }} | cat >&4; }} 3>&1)
[ "$status" = 0 ] || sleep 0.5
exit "$status"
"""
_ONLY_STEPS = """\
case " $*" in
  *' '{jobs}/*/act/workflow/*) ;;
  *) exec {program} "$@" ;;
esac
all=$*
set -- ${{all%%{jobs}/*}} {jobs}/"${{all#*{jobs}/}}"
"""

_START = """\
echo RUNNER_TEMP="$ENGINE_RUNNER_TEMP" >> "$GITHUB_ENV"
echo RUNNER_TOOL_CACHE="$ENGINE_RUNNER_TOOL_CACHE" >> "$GITHUB_ENV"
"""
_END = """\
end=$ENGINE_END.$$
printf %s "$ENGINE_STEPS" > "$end.steps"
cp -al "$GITHUB_WORKSPACE/." "$end.workspace"
unset ENGINE_STEPS ENGINE_END
env -0 > "$end.env"
"""


@dataclass(frozen=True)
class Annotation:
    """A message that GitHub shows on the run's page, and on a line of a file where it names one."""

    level: str  # error, warning or notice
    message: str
    title: str = ""
    file: str = ""
    line: int = 0


@dataclass
class Run:
    """What a user would see of one run of a workflow."""

    rc: int
    log: str = ""  # everything that was printed, with masks applied, without colours
    annotations: list[Annotation] = field(default_factory=list)
    summary: str = ""  # the summaries of all steps, in order
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)  # by the id of a step of the workflow
    steps: dict[str, str] = field(default_factory=dict)  # id -> success, failure or skipped: before continue-on-error
    env: dict[str, str] = field(default_factory=dict)  # of the end of the (last) job
    workspace: Path = Path()  # a copy of the (last) job's checkout, as it was at the end

    @property
    def ok(self) -> bool:
        return self.rc == 0

    def messages(self, level: str) -> list[str]:
        """The texts of the annotations of one level."""
        return [each.message for each in self.annotations if each.level == level]


class Github:
    """A GitHub with one repository, one cache and one runner; what a runner keeps is kept between runs."""

    def __init__(
        self,
        state: Path,
        releases: Mapping[str, Path],
        actions: Mapping[str, Path],
        tool_cache: Path,
        tools_cache: Path,
        python: Path,
    ) -> None:
        """`state` is a new folder of this instance's own. `releases` maps a tag of the collection to its release tree,
        `actions` maps `owner/name` to a folder that stands for every version of that action.

        With a blank in `state`, the checkout's path has one too. There the library of actions/cache fails, as it does
        on a real runner: it splits the arguments of tar at blanks.
        """
        self.state = state
        self.releases = dict(releases)
        self.actions = dict(actions)
        self.tool_cache = tool_cache
        self.tools_cache = tools_cache
        self.home = state / "home"
        self.runner_temp = state / "temp"
        self.artifacts = state / "artifacts"  # one folder for each run, by its number
        self._jobs = state / "work"
        self._bin = state / "bin"
        self._runs = 0
        for folder in (self._jobs, self._bin):
            folder.mkdir(parents=True)
        self._put_programs(python)

    def run(
        self,
        project: Path,
        steps: list[dict[str, Any]] | None = None,
        *,
        workflow: dict[str, Any] | None = None,
        event: str = "push",
        payload: dict[str, Any] | None = None,
        ref: str = "refs/heads/main",
        default_branch: str | None = "main",
        env: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        path: Sequence[Path] = (),
        releases: Mapping[str, Path] | None = None,
        cache_url: str = "",
        checkout: bool = True,
        timeout: float = 120,
    ) -> Run:
        """Runs `steps` (after a checkout) as a job, or a whole `workflow`, on the committed state of `project`.

        `uses: org/uv-actions/setup@v1` is the release tree; `releases` adds or replaces tags. `env` is the job's
        environment, `path` comes first on its PATH. `cache_url` is used in place of act's cache server. With
        `RUNNER_ENVIRONMENT=self-hosted` in `env` the runner keeps its home folder from the run before; by default it is
        hosted and starts with an empty one. Raises TimeoutError, with the log's end, after `timeout` seconds.
        """
        self._runs += 1
        folder = self.state / "runs" / str(self._runs)
        folder.mkdir(parents=True)
        env = {"RUNNER_ENVIRONMENT": "github-hosted", **(env or {})}
        document = _complete(workflow or _one_job(steps or [], checkout), event, env, folder / "end")
        (folder / "workflow.yml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        (folder / "event.json").write_text(json.dumps(_payload(ref, default_branch, payload)), encoding="utf-8")
        if env["RUNNER_ENVIRONMENT"] == "github-hosted":
            shutil.rmtree(self.home, ignore_errors=True)
        shutil.rmtree(self.runner_temp, ignore_errors=True)
        for each in (self.home, self.runner_temp):
            each.mkdir(exist_ok=True)

        command: list[str | Path] = [
            _script("act"), event, "--json",
            "--rm",  # without it, the checkout of a failed job stays
            "--workflows", folder / "workflow.yml",
            "--eventpath", folder / "event.json",
            "--platform", "ubuntu-latest=-self-hosted",
            "--action-offline-mode", "--use-new-action-cache", "--action-cache-path", self._jobs,
            "--artifact-server-addr", "127.0.0.1", "--artifact-server-path", self.artifacts,
            "--artifact-server-port", str(_free_port()),
            "--env", f"GITHUB_REPOSITORY={REPOSITORY}",
            "--env", f"GITHUB_REF={ref}",
            "--env", f"GITHUB_RUN_ID={self._runs}",
            "--env", f"GITHUB_RUN_NUMBER={self._runs}",
        ]  # fmt: skip
        if cache_url:
            command += ["--no-cache-server", "--env", f"ACTIONS_CACHE_URL={cache_url.rstrip('/')}/"]
        else:
            command += ["--cache-server-addr", "127.0.0.1", "--cache-server-path", self.state / "cache"]
        for name, value in (secrets or {}).items():
            command += ["--secret", f"{name}={value}"]
        for reference, place in self._local_actions(document, {**self.releases, **(releases or {})}).items():
            command += ["--local-repository", f"{reference}={place}"]
        rc, stdout, stderr = run_to_the_end(
            [str(each) for each in command], project, self._environment(env, path), timeout, _readable
        )
        run = Run(rc)
        run.log, run.annotations, run.summary = read_log(stdout, stderr)
        _add_what_the_jobs_told(run, folder)
        return run

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
        """Runs components one after the other in a job.

        `situation` is `default-branch`, `change` (a pull request from `branch`) or `tag` (`v1.2.3`). The option
        `password` names one of `secrets`. What `build` made is what `publish` takes, unless that names a `dist`.
        """
        names = [name for name, _ in steps]
        document: list[dict[str, Any]] = []
        for name, options in steps:
            inputs = dict(options)
            if "password" in inputs:
                inputs["password"] = f"${{{{ secrets.{inputs['password']} }}}}"
            if name == "publish" and "build" in names:
                inputs.setdefault("dist", "${{ steps.build.outputs.dist }}")
                inputs.setdefault("sha256", "${{ steps.build.outputs.sha256 }}")
            document += [_clock(name), {"id": name, "uses": f"{COLLECTION}/{name}@v1", "with": inputs}]
        document.append(_clock("end"))
        event, ref, payload = {
            "default-branch": ("push", f"refs/heads/{branch}", {}),
            "change": ("pull_request", "refs/pull/7/merge", {"pull_request": {"head": {"ref": branch}}}),
            "tag": ("push", "refs/tags/v1.2.3", {}),
        }[situation]
        variables = {"GITHUB_HEAD_REF": branch, **(env or {})} if situation == "change" else env
        run = self.run(
            project, document, event=event, ref=ref, payload=payload, default_branch=branch if not payload else "main",
            env=variables, secrets=secrets, timeout=timeout,
        )  # fmt: skip
        codes = re.findall(r"^exit status (\d+)$", run.log, re.MULTILINE)
        return Outcome(
            ok=run.ok,
            log=run.log,
            outputs={name: run.outputs.get(name, {}) for name in names},
            findings="\n".join(
                [*(f"{each.level} {each.file}: {each.message}" for each in run.annotations), run.summary]
            ),
            failed=next((name for name in names if run.steps.get(name) == "failure"), ""),
            exit=int(codes[0]) if codes else None,
            seconds=_seconds(run, names),
        )

    def _environment(self, env: Mapping[str, str], path: Sequence[Path]) -> dict[str, str]:
        """The environment of act, which it hands to the jobs."""
        return {
            **{name: os.environ[name] for name in NETWORK_VARIABLES if name in os.environ},
            "PATH": os.pathsep.join([*map(str, path), str(self._bin), SYSTEM_PATH]),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "UV_ACTIONS_TOOLS_CACHE": str(self.tools_cache),
            "ENGINE_RUNNER_TEMP": env.get("RUNNER_TEMP", str(self.runner_temp)),
            "ENGINE_RUNNER_TOOL_CACHE": env.get("RUNNER_TOOL_CACHE", str(self.tool_cache)),
        }

    def _local_actions(self, workflow: dict[str, Any], releases: Mapping[str, Path]) -> dict[str, Path]:
        """`owner/name@ref` -> folder, for all that the workflow and the collection's actions use."""
        local = {f"{COLLECTION}@{tag}": place for tag, place in releases.items()}
        texts = [yaml.safe_dump(workflow)]
        for place in {**releases, **self.actions}.values():
            texts += [each.read_text(encoding="utf-8") for each in place.glob("**/action.yml")]
        for text in texts:
            for name, ref in re.findall(r"uses:\s*[\"']?([\w.-]+/[\w.-]+)(?:/[^@\s]*)?@([\w./-]+)", text):
                if name in self.actions:
                    local[f"{name}@{ref}"] = self.actions[name]
        return local

    def _put_programs(self, python: Path) -> None:
        """Puts what a job finds on PATH before the system's programs: shells and node for act, and a python3."""
        jobs = shlex.quote(str(self._jobs))
        for name in ("sh", "bash"):
            if found := shutil.which(name, path=SYSTEM_PATH):
                only_steps = _ONLY_STEPS.format(jobs=jobs, program=found)
                write_program(self._bin / name, _SHELL.format(only_steps=only_steps, program=found))
        write_program(self._bin / "node", _SHELL.format(only_steps="", program=shlex.quote(str(NODE))))
        # Not a link: uv takes the folder of a link for the home of that Python.
        write_program(self._bin / "python3", f'#!/bin/sh\nexec {shlex.quote(str(python))} "$@"\n')


@contextmanager
def silent_server() -> Generator[str]:
    """The URL of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


# ---------------------------------------------------------------------------------------------------------------------
# What act is given


def _one_job(steps: list[dict[str, Any]], checkout: bool) -> dict[str, Any]:
    first = [CHECKOUT] if checkout and not any("actions/checkout@" in each.get("uses", "") for each in steps) else []
    return {"jobs": {"job": {"steps": [*first, *steps]}}}


def _clock(name: str) -> dict[str, Any]:
    """A step that tells the time."""
    return {
        "id": f"clock-{name}",
        "if": "always()",
        "shell": "sh",
        "run": 'echo "now=$(date +%s%N)" >> "$GITHUB_OUTPUT"',
    }


def _complete(workflow: dict[str, Any], event: str, env: Mapping[str, str], end: Path) -> dict[str, Any]:
    """The workflow with what every one needs, and in each job a first and a last step of the engine's own."""
    document: dict[str, Any] = {"name": "CI", "on": {event: _EVENT_DETAILS.get(event)}, **copy.deepcopy(workflow)}
    for name, job in document["jobs"].items():
        job.setdefault("runs-on", "ubuntu-latest")
        job["env"] = {**job.get("env", {}), **env}
        start = {"id": "engine-start", "name": "engine: start", "shell": "sh", "run": _START}
        last = {"id": "engine-end", "name": "engine: end", "if": "always()", "shell": "sh", "run": _END}
        last["env"] = {
            "ENGINE_STEPS": "${{ toJSON(steps) }}",
            # The number of the process is added, since act gives jobs of one matrix the same index at times.
            "ENGINE_END": f"{end}.{name}",
        }
        job["steps"] = [start, *job["steps"], last]
    return document


def _payload(ref: str, default_branch: str | None, more: dict[str, Any] | None) -> dict[str, Any]:
    owner, name = REPOSITORY.split("/")
    repository = {"full_name": REPOSITORY, "name": name, "owner": {"login": owner}}
    if default_branch is not None:
        repository["default_branch"] = default_branch
    return _merge({"ref": ref, "repository": repository}, more or {})


def _merge(base: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in more.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _script(name: str) -> Path:
    """A program of the test project's own environment."""
    return Path(sysconfig.get_path("scripts")) / name


def _free_port() -> int:
    """A port that is free now, out of those that the system gives to nobody by itself."""
    while True:
        port = random.randrange(10_000, 30_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


# ---------------------------------------------------------------------------------------------------------------------
# What act tells


def read_log(stdout: str, stderr: str = "") -> tuple[str, list[Annotation], str]:
    """The plain log, the annotations and the summary of `act --json`."""
    lines: list[str] = []
    annotations: list[Annotation] = []
    summaries: list[tuple[tuple[str, ...], str]] = []
    paths: set[tuple[str, ...]] = set()
    for line in stdout.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            lines.append(line)
            continue
        lines.append(without_colours(record.get("msg", "")).rstrip("\r\n"))
        place = (record.get("jobID", ""), json.dumps(record.get("matrix")), *record.get("stepID", ()))
        paths.add(place)
        if record.get("command") in ("error", "warning", "notice"):
            annotations.append(_annotation(record["raw"]))
        elif record.get("command") == "summary":
            summaries.append((place, record["content"]))
    # A step that has steps inside repeats the last one's summary.
    outer = {each[:length] for each in paths for length in range(len(each))}
    summary = "".join(text if text.endswith("\n") else text + "\n" for place, text in summaries if place not in outer)
    return "\n".join([*lines, stderr]), annotations, summary


def _readable(stdout: str, stderr: str) -> str:
    return read_log(stdout, stderr)[0]


def _annotation(raw: str) -> Annotation:
    """Reads a workflow command as the runner does.

    Source: actions/runner, src/Runner.Common/ActionCommand.cs
    """
    head, _, message = raw.strip("\r\n").removeprefix("::").partition("::")
    level, _, properties = head.partition(" ")
    given = dict(each.strip().split("=", 1) for each in properties.split(",") if "=" in each)
    values = {key: _unescape(value.replace("%3A", ":").replace("%2C", ",")) for key, value in given.items()}
    line = values.get("line", "")
    return Annotation(
        level=level,
        message=_unescape(message),
        title=values.get("title", ""),
        file=values.get("file", ""),
        line=int(line) if line.isdigit() else 0,
    )


def _unescape(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def _add_what_the_jobs_told(run: Run, folder: Path) -> None:
    for path in _oldest_first(folder.glob("end.*.steps")):
        for name, result in json.loads(path.read_text(encoding="utf-8")).items():
            if not (name.startswith("engine-") or name.isdigit()):  # act numbers the steps that have no id
                run.outputs[name] = result["outputs"]
                run.steps[name] = result["outcome"]
        run.workspace = path.with_suffix(".workspace")
    for path in _oldest_first(folder.glob("end.*.env")):
        pairs = path.read_text(encoding="utf-8", errors="replace").split("\0")
        run.env = dict(each.split("=", 1) for each in pairs if "=" in each and not each.startswith("ENGINE_"))


def _seconds(run: Run, names: Sequence[str]) -> dict[str, float]:
    """How long the steps took that ran, by the clocks around them."""
    times = {each: int(run.outputs.get(f"clock-{each}", {}).get("now", 0)) for each in (*names, "end")}
    pairs = zip(names, [*names[1:], "end"], strict=True)
    return {name: (times[after] - times[name]) / 1e9 for name, after in pairs if run.steps.get(name) != "skipped"}


def _oldest_first(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda each: each.stat().st_mtime_ns)
