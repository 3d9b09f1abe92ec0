"""GitLab CI on this machine: real pipelines under `gitlab-ci-local`, without Docker and without GitLab.

Each run is made from the committed state of a project, in a checkout of its own. `org/uv-actions` is a git repository
that holds the release tree, so `include:` by `component`, `project`, `local` (vendored) and `remote` go their real way.

What differs from GitLab is evened out here, so that a test sees what a user would see:

- gitlab-ci-local takes any input, and checks type, options and regex only of those that are used (`gitlab_inputs`);
- it says GITLAB_CI=false, gives jobs with an `image` a CI_PROJECT_DIR that isn't there, and runs every job by bash:
  our own `bash` puts that right, and takes the shell and the programs of an image that hasn't more than `python:slim`
  or Alpine (`IMAGES`), with `set` as the runner does it;
- it adds to a cache where GitLab replaces the archive, and knows no suffix for protected refs (`_RSYNC`, `_caches`);
- a job of a real runner starts with an empty HOME and without this machine's variables;
- it gives no `id_tokens`, no branch, merge request or tag to test with (`Situation`), and `integrity:` is ignored;
- it gives no inputs to a child pipeline that is made of artifacts: that is a run of its own (`_child`), with the
  files committed under `.child`, whose failure is the parent's whatever its `strategy` is.

What stays different, and is held by guards on the files (`test_gitlab_templates.py`) or not at all:

- images, `services` and `tags` do nothing; that an image can be pulled is never tried;
- `resource_group`, `interruptible`, `release`, `environment` (but its name), `fallback_keys` and the timeouts of cache
  and job are parsed and ignored; masked variables stand in the log, which a test can only find stricter;
- interpolation functions (`expand_vars`, `truncate`) do nothing, and an array within a text comes out as JSON;
- variables aren't expanded as the runner's `os.Expand` does (`${{ x }}`, `$5`): with `expand: false` neither does it;
- `after_script` starts from a cleaned checkout; the merge of includes is `deepExtend`, not GitLab's;
- who may run a job, protected environments and the job token's scope are a server's to say.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import yaml
from engines import gitlab_inputs
from engines.github import NETWORK_VARIABLES, SYSTEM_PATH
from engines.node import NODE, node_modules
from engines.outcome import Outcome
from engines.process import run_to_the_end, without_colours, write_program

HERE = Path(__file__).resolve().parent / "gitlab_ci_local"
SERVER = "https://gitlab.com"
PROJECT = "acme/app"
COLLECTION = "org/uv-actions"
VERSION = "v1.2.3"
_STATE = ".gitlab-ci-local"
_EXPANDED = f"{_STATE}/expanded-gitlab-ci.yml"

# Where a job's programs come from, and its shell: this machine's; what Debian's essential packages bring, as in
# `python:slim`, without git and without a downloader; busybox alone, as in Alpine.
IMAGES = ("machine", "slim", "alpine")
ESSENTIAL = (
    "awk basename cat chmod chown cksum cmp comm cp cut date dd df diff dirname du echo env expr false find getconf",
    "grep gzip head hostname id ldd ln ls md5sum mkdir mktemp mv nproc od paste printenv printf ps pwd readlink",
    "realpath rm rmdir sed seq sh sha256sum sleep sort split stat stty sync tail tar tee test timeout touch tr true",
    "tty uname uniq wc which xargs",
)
# Programs of busybox that Alpine's has, and Debian's is built without.
NOT_IN_DEBIANS_BUSYBOX = ("cksum", "printenv")

# Stands for the bash that gitlab-ci-local starts: without arguments for a job, whose script it names on stdin.
_BASH = """\
#!/bin/sh
[ $# = 0 ] || exec {bash} "$@"
read -r script
{{ echo 'set -e; (set -o pipefail) 2>/dev/null && set -o pipefail'; sed 1d "$script"; }} > "$script.run"
job=$(sed -n 's|^cd {state}/builds/\\(.*\\)/$|\\1|p;4q' "$script")
GITLAB_CI=true CI_PROJECT_DIR=$PWD/{state}/builds/$job CI_BUILDS_DIR=$PWD/{state}/builds
HOME=$PWD/{state}/homes/$job PATH=$ENGINE_PATH
export GITLAB_CI CI_PROJECT_DIR CI_BUILDS_DIR HOME PATH
shell=$ENGINE_SHELL
more=$PWD/{state}/more/$job.sh
"{mkdir}" -p "$HOME"
[ ! -f "$more" ] || . "$more"
unset ENGINE_PATH ENGINE_SHELL TERM OLDPWD
exec $shell "$script.run"
"""

# A cache's archive is replaced where the job has files for it; gitlab-ci-local would add to it.
_RSYNC = """\
#!/bin/sh
for last; do :; done
case "$1 $last" in
  '-Ra '*../cache/*)
    for each; do
      case $each in ./*) [ ! -e "$each" ] || { rm -rf "${last%.}" && mkdir -p "${last%.}"; } ;; esac
    done
    ;;
esac
exec {rsync} "$@"
"""


@dataclass(frozen=True)
class Situation:
    """For what a pipeline runs: a branch, a merge request from it, or a tag."""

    branch: str = "main"
    tag: str = ""
    merge_request: bool = False
    protected: bool | None = None  # None: the default branch and tags are
    source: str = ""  # a merge request event or a push
    default_branch: str = "main"

    @property
    def is_protected(self) -> bool:
        if self.protected is not None:
            return self.protected
        return not self.merge_request and (bool(self.tag) or self.branch == self.default_branch)

    def variables(self) -> dict[str, str]:
        """The predefined variables that tell it; an empty one isn't there at all.

        Source: https://docs.gitlab.com/ci/variables/predefined_variables/
        """
        ref = self.tag or self.branch
        request = self.branch if self.merge_request else ""
        return {
            "CI_COMMIT_BRANCH": "" if self.tag or self.merge_request else self.branch,
            "CI_COMMIT_TAG": self.tag,
            "CI_COMMIT_REF_NAME": ref,
            "CI_COMMIT_REF_SLUG": re.sub(r"[^a-z0-9]+", "-", ref.lower())[:63].strip("-"),
            "CI_COMMIT_REF_PROTECTED": str(self.is_protected).lower(),
            "CI_DEFAULT_BRANCH": self.default_branch,
            "CI_PIPELINE_SOURCE": self.source or ("merge_request_event" if self.merge_request else "push"),
            "CI_MERGE_REQUEST_IID": "7" if self.merge_request else "",
            "CI_MERGE_REQUEST_ID": "70" if self.merge_request else "",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": request,
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": self.default_branch if self.merge_request else "",
            "CI_MERGE_REQUEST_PROJECT_PATH": PROJECT if self.merge_request else "",
            "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": PROJECT if self.merge_request else "",
        }


@dataclass
class Job:
    """What a user would see of one job."""

    name: str
    status: str  # success, failed, or warning with `allow_failure`
    exit: int
    log: str = ""
    coverage: str = ""  # per cent, as its `coverage:` regex finds it in the log
    artifacts: Path = Path()  # the folder of what `artifacts:paths` has kept
    checkout: Path = Path()  # its working directory, as it was at the end
    dotenv: dict[str, str] = field(default_factory=dict)
    reports: dict[str, list[Path]] = field(default_factory=dict)  # by kind: junit, codequality, cobertura

    @property
    def ok(self) -> bool:
        return self.status == "success"

    def findings(self) -> list[str]:
        """The findings of its code quality reports as text, each with its place."""
        return [f"{each['location']['path']}: {each['description']}" for each in self.codequality()]

    def codequality(self) -> list[dict[str, Any]]:
        """The findings of its code quality reports."""
        return [each for path in self.reports.get("codequality", []) for each in json.loads(path.read_text("utf-8"))]

    def failures(self) -> list[str]:
        """What its JUnit reports say of tests that failed."""
        found = []
        for path in self.reports.get("junit", []):
            for case in ET.parse(path).iter("testcase"):
                for bad in (*case.findall("failure"), *case.findall("error")):
                    name = f"{case.get('classname', '')} {case.get('name')}".strip()
                    found.append(f"{name}: {bad.get('message', '')}\n{bad.text or ''}")
        return found


@dataclass
class Pipeline:
    """What a user would see of one pipeline; `invalid` is GitLab's complaint where none was made."""

    rc: int
    log: str = ""
    invalid: str = ""
    jobs: dict[str, Job] = field(default_factory=dict)  # those that ran; by their names, `test: [3.12, locked]`
    config: dict[str, Any] = field(default_factory=dict)  # expanded
    children: dict[str, Pipeline] = field(default_factory=dict)  # by the names of the jobs that triggered them

    @property
    def ok(self) -> bool:
        return self.rc == 0 and all(child.ok for child in self.children.values())

    def job(self, name: str) -> Job:
        """A job that ran, by its whole name or by that of its matrix."""
        found = [job for each, job in self.jobs.items() if each == name or each.startswith(f"{name}: [")]
        if len(found) != 1:
            raise LookupError(f"{len(found)} jobs {name} ran, of {list(self.jobs)}:\n{self.log}")
        return found[0]


class Gitlab:
    """A GitLab with one project and one runner; caches and the collection's releases last over runs."""

    def __init__(
        self, state: Path, release: Path, collection: Path, tool_cache: Path, tools_cache: Path, python: Path
    ) -> None:
        """`state` is a new folder of this instance's own, without a blank in its path, which gitlab-ci-local wouldn't
        stand; `release` the release tree, and `collection` a git repository that holds it (`collection_repository`).
        `tool_cache` and `tools_cache` are what the runner's machine has of uv and of our tools.
        """
        self.state = state
        self.release = release
        self.collection = collection
        self.tool_cache = tool_cache
        self.tools_cache = tools_cache
        self.home = state / "home"
        self._bin = state / "bin"
        self._runs = 0
        for folder in (self.home, self._bin):
            folder.mkdir(parents=True)
        self._write_git_configuration()
        self._put_programs(python)

    def run(
        self,
        project: Path,
        config: Mapping[str, Any] | str | None = None,
        *,
        situation: Situation | None = None,
        variables: Mapping[str, str] | None = None,
        id_token: Callable[[str], str] | None = None,
        image: str = "machine",
        path: Sequence[Path] = (),
        files: Mapping[str, str | bytes] | None = None,
        validate: bool = False,
        timeout: float = 240,
    ) -> Pipeline:
        """Runs a pipeline of the project's committed state, with `config` as its `.gitlab-ci.yml`, and `files` beside.

        `variables` are those of the project's settings. `id_token` gives a job its identity for an audience.
        `image` is one of `IMAGES`; `path` comes first on the PATH of its jobs. `validate` holds the expanded
        configuration against GitLab's schema. Raises TimeoutError, with the log's end, after `timeout` seconds.
        """
        situation = situation or Situation()
        checkout, text = self._checkout(project, config, files or {})
        if invalid := self._refused(text, checkout):
            return Pipeline(1, log=invalid, invalid=invalid)
        more = [] if validate else ["--no-json-schema-validation"]
        if triggers := _triggers_of_artifacts(text):
            rest = {name: job for name, job in gitlab_inputs.documents(text)[-1].items() if name not in triggers}
            (checkout / _STATE / "parent.yml").write_text(as_yaml(rest), encoding="utf-8")
            more.append(f"--file={_STATE}/parent.yml")
        if id_token:
            self._give_id_tokens(checkout, self.expanded(checkout, situation, variables or {}), id_token)
        caches = self._caches(situation)
        caches.mkdir(parents=True, exist_ok=True)
        (checkout / _STATE / "cache").symlink_to(caches)
        rc, stdout, stderr = self._gitlab_ci_local(checkout, situation, variables or {}, more, image, path, timeout)
        log = f"{stdout}\n{stderr}"
        pipeline = Pipeline(rc, log)
        if not (checkout / _EXPANDED).exists():
            pipeline.invalid = stderr
            return pipeline
        pipeline.config = _expanded(checkout)
        pipeline.jobs = _jobs(checkout, stdout + stderr, pipeline.config)
        for name, entries in triggers.items():
            if all(entry["job"] in pipeline.jobs and pipeline.jobs[entry["job"]].ok for entry in entries):
                child, made = _child(entries, pipeline)
                pipeline.children[name] = self.run(
                    project, child, situation=dataclasses.replace(situation, source="parent_pipeline"),
                    variables=variables, id_token=id_token, image=image, path=path,
                    files={**(files or {}), **made}, timeout=timeout,
                )  # fmt: skip
                pipeline.log += pipeline.children[name].log
        return pipeline

    def preview(
        self, project: Path, config: Mapping[str, Any] | str, *, files: Mapping[str, str | bytes] | None = None
    ) -> dict[str, Any]:
        """The expanded configuration. Raises ValueError with GitLab's words where it is refused."""
        checkout, text = self._checkout(project, config, files or {})
        if invalid := self._refused(text, checkout):
            raise ValueError(invalid)
        return self.expanded(checkout, Situation(), {})

    def expanded(self, checkout: Path, situation: Situation, variables: Mapping[str, str]) -> dict[str, Any]:
        """The expanded configuration of a checkout."""
        rc, _, stderr = self._gitlab_ci_local(checkout, situation, variables, ["--preview"], "machine", (), 60)
        if rc:
            raise ValueError(stderr)
        # Not from stdout, whose end is lost where a pipe is slow.
        return _expanded(checkout)

    def include(self, component: str, inputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """An entry of `include:` for a component of the collection."""
        entry: dict[str, Any] = {"component": f"$CI_SERVER_FQDN/{COLLECTION}/{component}@{VERSION}"}
        return {**entry, "inputs": dict(inputs)} if inputs else entry

    # -----------------------------------------------------------------------------------------------------------------
    # The uniform interface

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
        """Runs the components as a user would write them: a job for each, one after the other.

        `situation` is `default-branch`, `change` (a merge request from `branch`) or `tag` (`v1.2.3`). What `setup` is
        given holds for the jobs after it too, since those do themselves what it does.
        """
        at = {
            "default-branch": Situation(branch=branch, default_branch=branch),
            "change": Situation(branch=branch, merge_request=True),
            "tag": Situation(branch=branch, tag="v1.2.3"),
        }[situation]
        variables = {**(env or {}), **(secrets or {})}
        pipeline = self.run(project, self.config_of(steps), situation=at, variables=variables, timeout=timeout)
        jobs = {name.partition(":")[0]: job for name, job in pipeline.jobs.items()}
        ran = {name: jobs[f"step-{i}"] for i, (name, _) in enumerate(steps) if f"step-{i}" in jobs}
        failed = next((name for name, job in ran.items() if job.status == "failed"), "")
        if pipeline.invalid:
            failed = next((name for name, _ in steps if f"`{name}.yml`" in pipeline.invalid), steps[0][0])
        return Outcome(
            ok=pipeline.ok,
            log=pipeline.log,
            outputs={name: self._outputs(name, job) for name, job in ran.items()},
            findings="\n".join(finding for job in ran.values() for finding in (*job.findings(), *job.failures())),
            failed=failed,
            exit=ran[failed].exit if failed in ran else None,
            seconds={steps[number][0]: seconds for number, seconds in _seconds(pipeline.log).items()},
        )

    def config_of(self, steps: Sequence[tuple[str, Mapping[str, str]]]) -> dict[str, Any]:
        """The `.gitlab-ci.yml` for components with the option names and text forms of their GitHub actions."""
        config: dict[str, Any] = {"stages": [f"stage-{i}" for i in range(len(steps))], "include": []}
        of_setup: Mapping[str, str] = {}
        build = ""
        for i, (component, options) in enumerate(steps):
            job, stage = f"step-{i}", f"stage-{i}"
            template = (self.release / "templates" / f"{component}.yml").read_text(encoding="utf-8")
            spec = gitlab_inputs.specification(template)
            if component == "setup":
                of_setup = options
            elif component in ("test", "build"):
                options = {**{name: value for name, value in of_setup.items() if _known(name, spec)}, **options}
            inputs = _as_inputs(options, spec)
            if component in ("setup", "cache"):
                inputs |= {"job-name": f".{job}"}
                inputs.pop("mode", None)
                script = [f"!reference [.{job}, script]"]
                script += [f"!reference [.{job}-save, script]"] if component == "cache" else []
                config[job] = {"extends": f".{job}", "stage": stage, "script": script}
            else:
                inputs |= {"job-name": job, "stage": stage}
            if "needs" in spec and i:
                inputs["needs"] = [f"step-{i - 1}"]
            if component == "build":
                build = job
            if component == "publish":
                inputs |= {"build-job": build or "files", "rules": [{"when": "on_success"}]}
                if not build:
                    config["files"] = {"stage": stage, "script": ["true"], "artifacts": {"paths": ["dist/"]}}
            config["include"].append(self.include(component, inputs))
        return config

    def _outputs(self, component: str, job: Job) -> dict[str, str]:
        prefix = f"UV_ACTIONS_{component.upper().replace('-', '_')}_"
        told = {name: value for name, value in job.dotenv.items() if name.startswith(prefix)}
        return {name.removeprefix(prefix).lower().replace("_", "-"): value for name, value in told.items()}

    # -----------------------------------------------------------------------------------------------------------------
    # What a run is made of

    def _checkout(
        self, project: Path, config: Mapping[str, Any] | str | None, files: Mapping[str, str | bytes]
    ) -> tuple[Path, str]:
        """A checkout of the project's last commit with the configuration committed, and that configuration."""
        self._runs += 1
        checkout = self.state / "runs" / str(self._runs)
        self._git("clone", "--quiet", "--no-hardlinks", str(project), str(checkout))
        self._git("remote", "set-url", "origin", f"{SERVER}/{PROJECT}.git", at=checkout)
        text = (checkout / ".gitlab-ci.yml").read_text(encoding="utf-8") if config is None else as_yaml(config)
        for name, content in {".gitlab-ci.yml": text, **files}.items():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            (checkout / name).write_bytes(content.encode() if isinstance(content, str) else content)
        self._git("add", "--all", "--force", at=checkout)
        # With the date of the project's own commit: what is built must not depend on when the test runs.
        date = self._git("log", "-1", "--format=%cI", at=checkout)
        self._git("commit", "--quiet", "--allow-empty", f"--date={date}", "--message=ci", at=checkout, date=date)
        (checkout / _STATE).mkdir()
        return checkout, text

    def _refused(self, text: str, checkout: Path) -> str:
        """What GitLab says of the inputs, where it makes no pipeline of this configuration."""
        config = gitlab_inputs.documents(text)[-1]
        problems = gitlab_inputs.check(config, lambda entry: self._template(entry, checkout))
        includes = config.get("include") or []
        for entry in includes if isinstance(includes, list) else [includes]:
            if "integrity" in entry:
                with urllib.request.urlopen(entry["remote"]) as answer:
                    digest = base64.b64encode(hashlib.sha256(answer.read()).digest()).decode()
                if entry["integrity"] != f"sha256-{digest}":
                    problems.append(f"{entry['remote']}: remote file's content doesn't match its integrity")
        return "This GitLab CI configuration is invalid: " + "; ".join(problems) if problems else ""

    def _template(self, entry: Mapping[str, Any], checkout: Path) -> Path | None:
        """The file of an include that is one of the collection's templates."""
        if "local" in entry:
            return checkout / str(entry["local"]).lstrip("/")
        name = next((str(entry[kind]) for kind in ("component", "file", "remote") if kind in entry), "")
        path = self.release / "templates" / f"{Path(name.partition('@')[0]).name.removesuffix('.yml')}.yml"
        return path if path.exists() else None

    def _caches(self, situation: Situation) -> Path:
        """GitLab keeps the caches of protected refs apart from all others."""
        return self.state / "caches" / ("protected" if situation.is_protected else "non_protected")

    def _give_id_tokens(self, checkout: Path, config: Mapping[str, Any], id_token: Callable[[str], str]) -> None:
        folder = checkout / _STATE / "more"
        folder.mkdir()
        for name, job in config.items():
            for variable, token in (job.get("id_tokens") or {}).items() if isinstance(job, dict) else ():
                line = f"export {variable}={shlex.quote(id_token(token['aud']))}\n"
                (folder / f"{_safe(name)}.sh").write_text(line, encoding="utf-8")

    def _gitlab_ci_local(
        self,
        checkout: Path,
        situation: Situation,
        variables: Mapping[str, str],
        more: list[str],
        image: str,
        path: Sequence[Path],
        timeout: float,
    ) -> tuple[int, str, str]:
        told = {
            **situation.variables(),
            "CI_COMMIT_TIMESTAMP": self._git("log", "-1", "--format=%cI", at=checkout),
            "CI_JOB_TOKEN": "glcbt-64_job-token-of-this-job",
            **variables,
        }
        arguments = [f"--variable={name}={value.replace('$', '$$')}" for name, value in told.items() if value]
        arguments += [f"--unset-variable={name}" for name, value in told.items() if not value]
        command = [
            NODE, node_modules(HERE) / "gitlab-ci-local" / "dist" / "index.js",
            "--force-shell-executor", "--shell-isolation", "--no-artifacts-to-source", "--no-color",
            f"--home={self.home}", f"--ignore-predefined-vars={','.join(told)}", *arguments, *more,
        ]  # fmt: skip
        shell, programs = self._image(image)
        environment = {
            **{name: os.environ[name] for name in NETWORK_VARIABLES if name in os.environ},
            "PATH": os.pathsep.join([str(self._bin), SYSTEM_PATH]),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "ENGINE_PATH": os.pathsep.join([*map(str, path), programs]),
            "ENGINE_SHELL": shell,
            "UV_ACTIONS_TOOL_DIR": str(self.tool_cache / "uv-actions" / "uv"),
            "UV_ACTIONS_TOOLS_CACHE": str(self.tools_cache),
        }
        if "remote:" in (checkout / ".gitlab-ci.yml").read_text(encoding="utf-8"):
            # It would ask a proxy for loopback too.
            environment = {name: value for name, value in environment.items() if not name.upper().endswith("_PROXY")}
        rc, stdout, stderr = run_to_the_end(
            [str(each) for each in command], checkout, environment, timeout, lambda out, err: without_colours(out + err)
        )
        return rc, without_colours(stdout), without_colours(stderr)

    def _git(self, *arguments: str, at: Path | None = None, date: str = "") -> str:
        identity = ["-c", "user.name=ci", "-c", "user.email=ci@example.org", "-c", "commit.gpgsign=false"]
        environment = {**os.environ, "HOME": str(self.home), **({"GIT_COMMITTER_DATE": date} if date else {})}
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=at or self.state, env=environment, check=True,
            stdout=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip
        return done.stdout.strip()

    # -----------------------------------------------------------------------------------------------------------------
    # The runner's machine

    def _write_git_configuration(self) -> None:
        """Lets git find the collection's repository where GitLab would have it."""
        urls = [f"{SERVER}/{COLLECTION}.git", f"{SERVER}:443/{COLLECTION}.git"]
        lines = [f'[url "file://{self.collection}"]', *(f"\tinsteadOf = {url}" for url in urls)]
        lines += ["[safe]", "\tdirectory = *", "[init]", "\tdefaultBranch = main", "[advice]", "\tdetachedHead = false"]
        lines += ["[user]", "\tname = ci", "\temail = ci@example.org"]
        (self.home / ".gitconfig").write_text("\n".join([*lines, ""]), encoding="utf-8")

    def _put_programs(self, python: Path) -> None:
        bash, rsync, mkdir = (shutil.which(name, path=SYSTEM_PATH) for name in ("bash", "rsync", "mkdir"))
        write_program(self._bin / "bash", _BASH.format(bash=bash, mkdir=mkdir, state=_STATE))
        write_program(self._bin / "rsync", _RSYNC.replace("{rsync}", str(rsync)))
        self._python = self.state / "python"
        self._python.mkdir()
        # Not a link: uv takes the folder of a link for the home of that Python.
        write_program(self._python / "python3", f'#!/bin/sh\nexec {shlex.quote(str(python))} "$@"\n')

    def _image(self, name: str) -> tuple[str, str]:
        """The shell and the PATH of an image."""
        if name == "machine":
            return "bash", os.pathsep.join([str(self._python), SYSTEM_PATH])
        busybox = shutil.which("busybox")
        folder = self.state / name
        if not folder.exists():
            folder.mkdir()
            if name == "alpine":
                applets = subprocess.check_output([str(busybox), "--list"], text=True).split()
                programs = {**dict.fromkeys(NOT_IN_DEBIANS_BUSYBOX), **dict.fromkeys(applets, busybox)}
            else:
                programs = dict.fromkeys(" ".join(ESSENTIAL).split())
            for program, path in programs.items():
                (folder / program).symlink_to(str(path or shutil.which(program)))
        shell = f"{busybox} sh" if name == "alpine" else str(shutil.which("dash"))
        return shell, os.pathsep.join([str(self._python), str(folder)])


def collection_repository(release: Path, folder: Path) -> Path:
    """A bare git repository in `folder` that has the release tree as its tags `v1.2.3` and `v1`."""
    shutil.copytree(release, folder / "tree")
    repository = folder / "uv-actions.git"
    git = ["git", "-C", str(folder / "tree"), "-c", "user.name=ci", "-c", "user.email=ci@example.org"]
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "--all", "--force"],
        ["-c", "commit.gpgsign=false", "commit", "--quiet", "--message=Release"],
        *(["tag", tag] for tag in (VERSION, "v1")),
        ["clone", "--quiet", "--bare", ".", str(repository)],
    ):
        subprocess.run([*git, *arguments], check=True)
    for name in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        subprocess.run(["git", "-C", str(repository), "config", name, "true"], check=True)
    return repository


def prepare() -> None:
    """Gets what the engine needs from elsewhere."""
    node_modules(HERE)
    if not shutil.which("rsync", path=SYSTEM_PATH):
        raise RuntimeError("rsync is not on this machine")


# ---------------------------------------------------------------------------------------------------------------------
# What gitlab-ci-local is given


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and `!reference [job, key]` as GitLab's tag."""


def _represent_text(dumper: yaml.Dumper, text: str) -> yaml.Node:
    if match := re.fullmatch(r"!reference \[(.*), (\w+)\]", text):
        return dumper.represent_sequence("!reference", list(match.groups()), flow_style=True)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def as_yaml(config: Mapping[str, Any] | str) -> str:
    """A configuration as text."""
    return config if isinstance(config, str) else yaml.dump(dict(config), Dumper=_Dumper, sort_keys=False, width=1000)


# Options of GitHub's actions that have another name, and some of them another form, in the templates that are jobs.
_RENAMED = {"python-version": "python-versions", "resolution": "resolutions", "password": "password-env"}


def _known(name: str, spec: Mapping[str, Any]) -> bool:
    """Whether a template has an option of an action, under its own or another name."""
    return name in spec or _RENAMED.get(name) in spec


def _as_inputs(options: Mapping[str, str], spec: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an action as inputs of a template."""
    inputs: dict[str, Any] = {}
    for option, value in options.items():
        name = option if option in spec or not _known(option, spec) else _RENAMED[option]
        inputs[name] = [value] if spec.get(name, {}).get("type") == "array" else value
    return inputs


def _triggers_of_artifacts(config: str) -> dict[str, list[dict[str, Any]]]:
    """The jobs that trigger a child pipeline of artifacts, and what each of those includes."""
    jobs = {name: job for name, job in gitlab_inputs.documents(config)[-1].items() if isinstance(job, dict)}
    triggers = {name: job["trigger"] for name, job in jobs.items() if isinstance(job.get("trigger"), dict)}
    includes = {name: trigger.get("include") for name, trigger in triggers.items()}
    return {
        name: entries
        for name, entries in includes.items()
        if isinstance(entries, list) and all("artifact" in entry for entry in entries)
    }


def _child(entries: Sequence[Mapping[str, Any]], parent: Pipeline) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The configuration of a child pipeline of artifacts, and the files that it includes."""
    include = [{"local": f".child/{entry['artifact']}", "inputs": entry.get("inputs", {})} for entry in entries]
    files = {
        each["local"]: (parent.jobs[entry["job"]].artifacts / entry["artifact"]).read_bytes()
        for each, entry in zip(include, entries, strict=True)
    }
    return {"include": include}, files


# ---------------------------------------------------------------------------------------------------------------------
# What gitlab-ci-local tells


def _expanded(checkout: Path) -> dict[str, Any]:
    """The expanded configuration without hidden jobs; the next run writes its own."""
    text = (checkout / _EXPANDED).read_text(encoding="utf-8")
    (checkout / _EXPANDED).unlink()
    return {name: value for name, value in yaml.safe_load(text).items() if not name.startswith(".")}


def _seconds(log: str) -> dict[int, float]:
    """How long the jobs `step-<number>` took."""
    units = {"ms": 0.001, "s": 1, "min": 60}
    told = re.findall(r"^step-(\d+)\b.*? finished in ([\d.]+) (ms|s|min)\b", log, re.MULTILINE)
    return {int(number): float(count) * units[unit] for number, count, unit in told}


def _jobs(checkout: Path, log: str, config: Mapping[str, Any]) -> dict[str, Job]:
    """The jobs that ran, by the report at the end of the log, with what each has left."""
    exits = {
        name.strip(): int(code)
        for name, code in re.findall(r"^(.+?) finished in .*? (?:FAIL|WARN) (\d+) *$", log, re.MULTILINE)
    }
    jobs = {}
    summary = re.findall(r"^ (PASS|FAIL|WARN)  (.+?) *(?:  pre_script| ([\d.]+)% coverage)?$", log, re.MULTILINE)
    for end, name, coverage in summary:
        if name.endswith("  after_script"):
            continue
        status = {"PASS": "success", "FAIL": "failed", "WARN": "warning"}[end]
        job = Job(_shown(name), status, exits.get(name, 0), coverage=coverage)
        folder = checkout / _STATE
        job.log = without_colours((folder / "output" / f"{_safe(name)}.log").read_text("utf-8", errors="replace"))
        job.artifacts = folder / "artifacts" / _safe(name)
        job.checkout = folder / "builds" / _safe(name)
        reports = (config[name.partition(": [")[0]].get("artifacts") or {}).get("reports") or {}
        job.reports = _reports(job.checkout, reports)
        for path in job.reports.pop("dotenv", []):
            lines = path.read_text(encoding="utf-8").splitlines()
            job.dotenv |= dict(line.split("=", 1) for line in lines if line)
        jobs[job.name] = job
    return jobs


def _shown(name: str) -> str:
    """A job's name as GitLab shows it."""
    base, bracket, values = name.partition(": [")
    return f"{base}: [{values.replace(',', ', ')}" if bracket else name


def _safe(name: str) -> str:
    """A job's name as gitlab-ci-local names its folders."""

    def encode(match: re.Match[str]) -> str:
        return base64.urlsafe_b64encode(match[0].encode()).decode().rstrip("=")

    return re.sub(r"[^A-Za-z0-9_-]+", encode, name)


def _reports(checkout: Path, reports: Mapping[str, Any]) -> dict[str, list[Path]]:
    """The files of each kind of report that are there. GitLab takes them whether the job passed or not."""
    found: dict[str, list[Path]] = {}
    for kind, given in reports.items():
        patterns = given["path"] if isinstance(given, dict) else given
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            found.setdefault(kind, []).extend(sorted(checkout.glob(pattern)))
    if "coverage_report" in found:
        found["cobertura"] = found.pop("coverage_report")
    return found
