#!/usr/bin/env -S uv run --no-config --locked --script
# /// script
# requires-python = ">=3.10"
# dependencies = ["tomli>=2; python_version < '3.11'"]
# ///
"""Plans a job's cache: its folder, its key, and whether this job may restore and save it.

`plan` (the default) tells `path`, `key`, `restore-keys`, `restore`, `save`, `state` (`off`, or empty where the restore
will tell), `reason`, `trust` (`trusted` for a job of the default branch, else `change`), `python`, `started` and
`bytes`, and for a tool that goes on, `tool-python` and `uv-folder`.
`settle` takes what the restore found, makes the folder ready, tells `state`, `reason`, `bytes`, `seconds`, `save` and
`path`, and exports the path as UV_CACHE_DIR.

The key is `<schema>-<os>-<osversion>-<arch>-<libc>-uv<X.Y.Z>-py<X.Y>-<profile>-<hash of the locks>`. uv's version is in
it since uv changes its cache buckets even in patch releases; the operating system's version, since what was built
from source on a newer one doesn't load on an older one; the profile, so that jobs that install different things never
overwrite each other's entry.

GitLab fixes its own key before a job starts, so there `path` is always `<folder>/cache`, and `<folder>/key`, a marker
that is archived with it, holds the key above. `plan` reads the state from it; `setup_env` writes it after a good sync,
and `plan --mode=save` after other work. A job that saves and finds another key there begins with an empty folder.
On Jenkins and Buildkite entries are kept in a folder that `--store` names, by `ci_cache`; without one uv is left to the
machine's own cache. A folder that trusted and untrusted jobs share is no security boundary, unless each level of trust
has its own user id.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform as machine_platform
import re
import secrets
import subprocess
import sys
import sysconfig
import tempfile
import time
from argparse import BooleanOptionalAction, Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from _common import (
    Failure,
    Items,
    Parser,
    add_summary,
    export,
    find_uv,
    folder_size,
    human_size,
    job_temp,
    platform,
    read_cache_marker,
    read_cache_note,
    run_main,
    say,
    set_outputs,
    settle_cache,
    trace,
    write_cache_marker,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = "uv-actions-1"

# Events whose code or purpose must not meet a cache: a poisoned entry would reach a release, or a stranger's code
# runs with the rights of the default branch.
EVENTS_WITHOUT_CACHE = ("release", "pull_request_target", "workflow_run", "issue_comment")
# Events that run the default branch's own code.
EVENTS_THAT_SAVE = ("push", "schedule", "workflow_dispatch", "repository_dispatch")

# What the key is made of where `key-files` names nothing: a lock, else what stands in for one.
LOCK = "uv.lock"
WITHOUT_LOCK = ("pyproject.toml", "requirements*.txt", "*.py.lock")
KEY_FILES_MEND = "give patterns relative to `working-directory`, one a line, such as `uv.lock` or `**/*.py.lock`"

# Variables that make uv look at another project, or at an active environment, which a sync doesn't.
DROPPED_VARIABLES = ("CONDA_PREFIX", "UV_PROJECT", "UV_WORKING_DIR", "UV_WORKING_DIRECTORY", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Situation:
    """What the platform says of this job.

    `event` is what runs it, in the platform's words. `barred` says why the job must not meet a cache, empty if it may;
    `trusted`, whether it runs the own code of the branch that all others take from; `only_restores`, why `auto` doesn't
    save here, empty if it does; `own_cache`, whether `auto` leaves uv to the cache that the machine keeps by itself.
    """

    event: str
    barred: str = ""
    trusted: bool = False
    only_restores: str = ""
    own_cache: bool = False


@dataclass(frozen=True)
class Platform:
    """How a platform tells a job's situation, and what keeps the cache between jobs.

    `keeps` is `service` (entries by key), `path` (one folder for all keys, so that a marker in it names its key),
    `store` (a folder that the user names, or nothing), or empty: nobody saves.
    """

    situation: Callable[[Mapping[str, str]], Situation]
    keeps: str = ""


@dataclass(frozen=True)
class Policy:
    """What this job may do with the cache, and why not more; `barred` if that is for what it may read or reach."""

    restore: bool
    save: bool
    reason: str = ""
    barred: bool = False


def decide(
    choice: str,
    situation: Situation,
    environment: Mapping[str, str],
    ours: Sequence[Path],
    *,
    keeps: str = "service",
    store: bool = False,
) -> Policy:
    """Who restores and who saves.

    `choice` is `auto`, `true`, `restore` or `false`; below the folders `ours` a UV_CACHE_DIR is an earlier step's.
    `store` says whether the user named one, where the platform `keeps` none itself.
    """
    caller = environment.get("UV_CACHE_DIR", "")
    if choice == "false":
        return Policy(False, False, "switched off by `cache: false`")
    if environment.get("UV_NO_CACHE", "").lower() in ("1", "true", "yes", "on"):
        return Policy(False, False, "UV_NO_CACHE is set")
    if caller and not any(Path(caller).is_relative_to(folder) for folder in ours):
        return Policy(False, False, "UV_CACHE_DIR is set by the caller")
    if situation.barred:
        return Policy(False, False, f"a job for {situation.barred} uses no cache", barred=True)
    if choice == "auto" and (situation.own_cache or (keeps == "store" and not store)):
        return Policy(False, False, "machine's own cache")
    if keeps == "store" and not store:
        return Policy(False, False, "there is no `cache-store` to keep it in")
    if choice == "restore":
        return Policy(restore=True, save=False, reason="`cache: restore` never saves")
    if not keeps:
        return Policy(restore=True, save=False, reason="only a job of a CI platform saves")
    if situation.only_restores and choice == "auto":
        return Policy(restore=True, save=False, reason=situation.only_restores)
    return Policy(restore=True, save=True)


# ---------------------------------------------------------------------------------------------------------------------
# What each platform says of a job

ONLY_DEFAULT_BRANCH = "only the default branch saves"


def situation_on_github(environment: Mapping[str, str]) -> Situation:
    """Reads the job's event; the payload of `schedule` names no default branch, and it always runs on it."""
    event = environment.get("GITHUB_EVENT_NAME", "")
    ref = environment.get("GITHUB_REF", "")
    payload: dict[str, Any] = {}
    try:
        payload = json.loads(Path(environment["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
        branch = payload["repository"]["default_branch"]
    except (KeyError, TypeError, OSError, ValueError):
        branch = None
    tag = environment.get("GITHUB_REF_TYPE") == "tag" or ref.startswith("refs/tags/")
    only_restores = ""
    if event != "schedule" and (branch is None or ref != f"refs/heads/{branch}"):
        only_restores = ONLY_DEFAULT_BRANCH
    elif event not in EVENTS_THAT_SAVE:
        only_restores = f"`{event}` only restores"
    barred = "a tag" if tag else f"`{event}`" if event in EVENTS_WITHOUT_CACHE else ""
    return Situation(
        event=event,
        barred=barred,
        trusted=not (barred or only_restores),
        only_restores=only_restores,
        own_cache=environment.get("RUNNER_ENVIRONMENT") == "self-hosted",
    )


def situation_on_gitlab(environment: Mapping[str, str]) -> Situation:
    """Reads the pipeline's ref: each saves, since GitLab itself keeps entries of protected and other refs apart.

    Not so a merge request of a fork whose pipeline a member runs in this project: a stranger's code would write what
    the project's own unprotected branches read.
    """
    project = environment.get("CI_PROJECT_ID", "")
    foreign = environment.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", project) not in ("", project)
    request = bool(environment.get("CI_MERGE_REQUEST_IID"))
    branch = environment.get("CI_COMMIT_BRANCH", "")
    barred = (
        "a tag" if environment.get("CI_COMMIT_TAG") else "a fork's merge request in this project" if foreign else ""
    )
    return Situation(
        event=environment.get("CI_PIPELINE_SOURCE", ""),
        barred=barred,
        trusted=not (barred or request) and branch != "" and branch == environment.get("CI_DEFAULT_BRANCH"),
    )


def situation_on_jenkins(environment: Mapping[str, str]) -> Situation:
    """Reads what a multibranch project says of the branch; any other project knows none, and so none that is trusted.

    Source: https://plugins.jenkins.io/branch-api/
    """
    request = bool(environment.get("CHANGE_ID") or environment.get("CHANGE_FORK"))
    trusted = environment.get("BRANCH_IS_PRIMARY") == "true" and not request
    barred = "a tag" if environment.get("TAG_NAME") else ""
    return Situation(
        event="change request" if request else "branch",
        barred=barred,
        trusted=trusted and not barred,
        only_restores="" if trusted else ONLY_DEFAULT_BRANCH,
    )


def situation_on_buildkite(environment: Mapping[str, str]) -> Situation:
    """Reads the build's branch, which a fork may name like ours: only what says that it is no pull request is none.

    Source: https://buildkite.com/docs/pipelines/configure/environment-variables
    """
    branch = environment.get("BUILDKITE_BRANCH", "")
    request = environment.get("BUILDKITE_PULL_REQUEST") != "false" or bool(
        environment.get("BUILDKITE_PULL_REQUEST_REPO")
    )
    trusted = not request and branch != "" and branch == environment.get("BUILDKITE_PIPELINE_DEFAULT_BRANCH")
    barred = "a tag" if environment.get("BUILDKITE_TAG") else ""
    return Situation(
        event="pull request" if request else environment.get("BUILDKITE_SOURCE", "branch"),
        barred=barred,
        trusted=trusted and not barred,
        only_restores="" if trusted else ONLY_DEFAULT_BRANCH,
    )


def situation_of_a_person(_environment: Mapping[str, str]) -> Situation:
    """Nobody vouches for what lies in a work tree."""
    return Situation(event="")


PLATFORMS = {
    "github": Platform(situation_on_github, keeps="service"),
    "gitlab": Platform(situation_on_gitlab, keeps="path"),
    "jenkins": Platform(situation_on_jenkins, keeps="store"),
    "buildkite": Platform(situation_on_buildkite, keeps="store"),
    "": Platform(situation_of_a_person),
}


# ---------------------------------------------------------------------------------------------------------------------
# The key


def operating_system() -> str:
    """`linux-ubuntu24.04-x86_64-gnu`: what a built wheel depends on."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(
        machine_platform.machine().lower(), machine_platform.machine().lower()
    )
    if sys.platform == "win32":
        return f"windows-{machine_platform.version()}-{machine}-msvc"
    if sys.platform == "darwin":
        return f"macos-{machine_platform.mac_ver()[0].split('.')[0]}-{machine}-system"
    try:
        release = machine_platform.freedesktop_os_release()
        version = release.get("ID", "linux") + release.get("VERSION_ID", "")
    except OSError:
        version = "unknown"
    libc = "musl" if "musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or "") else "gnu"
    return f"linux-{version}-{machine}-{libc}"


def ask_uv(arguments: list[str], directory: Path) -> str:
    """uv's answer on stdout; empty if it has none."""
    environment = {name: value for name, value in os.environ.items() if name not in DROPPED_VARIABLES}
    # An absent project environment: the question is what the sync will choose, not what an old `.venv` has.
    environment["UV_PROJECT_ENVIRONMENT"] = os.path.join(tempfile.gettempdir(), "uv-actions-no-such-venv")
    # uv knows the machine's Pythons there already, from making this tool's environment.
    if tools_cache := os.environ.get("UV_ACTIONS_TOOLS_CACHE"):
        environment["UV_CACHE_DIR"] = tools_cache
    command = [find_uv(), *arguments]
    trace(command)
    result = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, encoding="utf-8", errors="replace"
    )
    return result.stdout.strip() if result.returncode == 0 else ""


def python_of(request: str, directory: Path) -> str:
    """The version of the Python that uv will take (`3.12.1`), or what was asked for where it must still be fetched."""
    found = ask_uv(["python", "find", "--show-version", *([request] if request else [])], directory)
    return found or request or "auto"


def ancestors(directory: Path) -> Iterator[Path]:
    """The folder and those above it, up to the repository's root, or the file system's where there is none."""
    for folder in (directory, *directory.parents):
        yield folder
        if (folder / ".git").exists():
            return


def key_files(directory: Path, patterns: list[str], caches: Path) -> list[Path]:
    """The files whose content the key stands for, sorted; without patterns the project's lock, or what stands in.

    Our `caches` may lie in the checkout, and packages bring locks of their own.
    """
    if patterns:
        try:
            found = {path for pattern in patterns for path in directory.glob(pattern) if path.is_file()}
            found = {path for path in found if not path.is_relative_to(caches)}
        except (ValueError, NotImplementedError) as error:
            raise Failure(f"`key-files` can't be used: {error}", KEY_FILES_MEND) from None
        if not found:
            raise Failure(
                f"`key-files` matches no file in {directory}: {', '.join(patterns)}",
                KEY_FILES_MEND,
            )
        return sorted(found)
    for folder in ancestors(directory):
        if (folder / LOCK).is_file():
            return [folder / LOCK]
    return sorted({path for pattern in WITHOUT_LOCK for path in directory.glob(pattern) if path.is_file()})


def hash_of(files: list[Path], repository: Path) -> str:
    """A hash of names and contents; line ends don't count, since Git may have changed them on Windows."""
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes().replace(b"\r\n", b"\n")
        name = os.path.relpath(path, repository).replace(os.sep, "/")
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:32]


def index_urls(directory: Path, mirror: str, environment: Mapping[str, str]) -> list[str]:
    """Every index that may be asked, without credentials: declared by the project, by the environment, the mirror."""
    urls = [mirror] if mirror else []
    for variable in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"):
        # `UV_INDEX` holds several, each perhaps as `name=url`.
        urls += [re.sub(r"^[A-Za-z0-9._-]+=", "", item) for item in environment.get(variable, "").split()]
    for folder in ancestors(directory):
        for name in ("uv.toml", "pyproject.toml"):
            settings: Any = read_toml(folder / name)
            for table in () if name == "uv.toml" else ("tool", "uv"):
                settings = settings.get(table) if isinstance(settings, dict) else None
            # Odd shapes are uv's to complain about.
            entries = settings.get("index") if isinstance(settings, dict) else None
            entries = entries if isinstance(entries, list) else []
            urls += [str(entry["url"]) for entry in entries if isinstance(entry, dict) and "url" in entry]
    return sorted({without_credentials(url) for url in urls})


def read_toml(path: Path) -> dict[str, Any]:
    """The file's content; empty if it is absent or not TOML, which is the sync's to report."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}


def without_credentials(url: str) -> str:
    """The URL without user and password."""
    return re.sub(r"^(\w[\w+.-]*://)[^/?#]*@", r"\1", url)


# ---------------------------------------------------------------------------------------------------------------------
# Plan and settle


def own_folder() -> Path:
    """Ours in the job's temporary folder, whose path is the same in each run of a hosted runner."""
    return job_temp() / "uv-actions"


def folder_of_caches(given: str, directory: Path) -> Path:
    """Where our caches lie.

    Raises:
        Failure: it is the project's folder or one above it, where `cache` and `key` may be somebody else's.
    """
    folder = Path(os.path.abspath(given)) if given else own_folder()
    if folder == directory or folder in directory.parents:
        raise Failure(
            f"`folder` is {given!r}, which holds the project itself", "name a folder that holds nothing but our caches"
        )
    return folder


def plan(options: Namespace) -> int:
    """Finds key and policy, and gives them to the platform."""
    directory = options.working_directory
    caches = folder_of_caches(options.folder, directory)
    row = PLATFORMS[platform()]
    situation = row.situation(os.environ)
    policy = decide(
        options.cache,
        situation,
        os.environ,
        (caches, own_folder()),
        keeps=row.keeps,
        store=bool(options.store),
    )
    files = key_files(directory, options.key_files, caches)
    if not files and (policy.restore or policy.save):
        policy = Policy(
            restore=False, save=False, reason=f"nothing to make a key from: no `{LOCK}` in or above {directory.name}"
        )

    python = python_of(options.python_version, directory)
    repository = list(ancestors(directory))[-1]
    parts = {
        "project": os.path.relpath(directory, repository),
        "profile": options.profile,
        "python": options.python_version,  # 3.13 and 3.13t differ in nothing else
        "groups": sorted(options.groups),
        "default groups": options.default_groups,
        "extras": sorted(options.extras),
        "packages": sorted(options.packages),
        "sync arguments": options.sync_args,
        "indexes": index_urls(directory, options.mirror, os.environ),
    }
    profile = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
    minor = ".".join(python.split(".")[:2])
    uv = ask_uv(["--version"], directory).split()
    family = "-".join(
        [
            SCHEMA,
            operating_system(),
            f"uv{uv[1] if len(uv) > 1 else 'unknown'}",
            f"py{re.sub(r'[^A-Za-z0-9.]+', '.', minor)}",
            profile,
        ]
    )
    key = f"{family}-{hash_of(files, repository)}"
    # Fallback entries need the path that their job had, so it stands for the family and not for the key.
    path = caches / f"cache-{hashlib.sha256(family.encode()).hexdigest()[:12]}"
    if row.keeps == "path":
        path = caches / "cache"
    on = policy.restore or policy.save
    earlier = read_cache_note(path) if on else {}
    state = earlier.get("state", "") if on else "off"
    if options.mode == "save":
        policy = at_the_end(policy, earlier, key)
        if policy.save:
            write_cache_marker(path, key)
    elif earlier:
        policy = Policy(restore=False, save=False, reason="an earlier step of this job restored it")
    elif on and row.keeps == "path":
        state = state_by_marker(path, key, family, policy)
    folder: Path | str = path if on else ""
    if row.keeps == "path" and policy.barred:
        # GitLab unpacks the archive in spite of us, so uv is led to where it isn't.
        folder = empty_cache(os.environ)

    if options.explain:
        explain(key, parts, files, policy)
    set_outputs(
        {
            "path": folder,
            "key": key if on else "",
            # An entry holds what its lock needs and nothing else: a job that will save takes none but its own.
            "restore-keys": f"{family}-" if policy.restore and not policy.save else "",
            "restore": policy.restore and options.mode != "save",
            "save": policy.save,
            "state": state,
            "reason": policy.reason,
            "trust": "trusted" if situation.trusted else "change",
            "python": python,
            "started": int(time.time()),
            "bytes": folder_size(path) if on else 0,
            "tool-python": sys.executable,
            "uv-folder": os.path.dirname(find_uv()),
        }
    )
    return 0


def state_by_marker(path: Path, key: str, family: str, policy: Policy) -> str:
    """What the platform has put into the folder; what the job can't use is a miss, which clears it."""
    found = read_cache_marker(path)
    if found == key:
        return "exact"
    return "partial" if found.startswith(f"{family}-") and not policy.save else "miss"


def empty_cache(environment: Mapping[str, str]) -> Path:
    """A cache folder in which nothing is: a new one, or the one that an earlier step of this job began."""
    earlier = Path(environment.get("UV_CACHE_DIR", ""))
    if earlier.is_relative_to(own_folder()):
        return earlier
    return own_folder() / f"empty-{secrets.token_hex(6)}"


def at_the_end(policy: Policy, earlier: Mapping[str, Any], key: str) -> Policy:
    """Whether the job's end saves what an earlier step of the job restored under this key, or began."""
    if not policy.save:
        return policy
    if not earlier:
        reason = "no earlier step of this job restored it: put one with `mode: restore` before the work"
    elif earlier["key"] != key:
        reason = "the files that the key stands for have changed since the restore"
    elif earlier["state"] == "exact":
        reason = "the store has this entry already"
    elif earlier["saved"]:
        reason = "an earlier step of this job saved it"
    elif os.environ.get("CI_JOB_STATUS") in ("failed", "canceled"):
        # GitLab says so to an `after_script`.
        reason = "the job's work has failed, so the cache may hold only a part"
    else:
        return policy
    return Policy(restore=False, save=False, reason=reason)


def explain(key: str, parts: Mapping[str, object], files: list[Path], policy: Policy) -> None:
    """Tells a person what the key is made of."""
    say(f"key      {key}")
    say("         schema - operating system, its version, processor, libc - uv - Python - profile - locks")
    for name, value in parts.items():
        say(f"profile  {name}: {value if value not in ('', []) else '(none)'}")
    for path in files:
        say(f"locks    {path}")
    say(f"policy   {json.dumps(asdict(policy))}")


def settle(options: Namespace) -> int:
    """Makes the restored folder ready, exports it, and tells what is in it."""
    cache = settle_cache(
        state=options.state,
        path=options.path,
        key=options.key,
        reason=options.reason,
        save=options.save,
        started=options.started,
        timed_out=options.timed_out,
        saves_itself=not options.mode,
    )
    if cache.path:
        export({"UV_CACHE_DIR": cache.path})
    set_outputs(
        {
            "state": cache.state,
            "reason": cache.reason,
            "bytes": cache.bytes,
            "seconds": cache.seconds,
            "save": cache.save,
            "path": cache.path,
        }
    )
    detail = f": {cache.reason}" if cache.reason else ""
    size = "" if cache.state == "off" else f"; {human_size(cache.bytes)} in {cache.seconds} s"
    add_summary(f"### uv: cache\n\n**{cache.state}**{detail}{size}\n")
    return 0


def parse() -> Namespace:
    """The command line and the environment."""
    parser = Parser(description=__doc__)
    commands = parser.add_subparsers(dest="command", metavar="plan|settle")
    planning = commands.add_parser("plan", help="find key and policy (the default)")
    planning.add_folder()
    planning.add_argument(
        "--cache", choices=["auto", "true", "false", "restore"], default="auto", help="who saves (default: auto)"
    )
    planning.add_argument("--mode", choices=["restore", "save"], help="one half of the work (default: both)")
    planning.add_argument(
        "--folder", default="", metavar="DIR", help="where our caches lie (default: the job's temporary folder)"
    )
    planning.add_argument(
        "--store", default="", metavar="DIR", help="where entries are kept, on platforms that keep none themselves"
    )
    planning.add_argument("--profile", default="", help="a name that keeps this job's entries apart from others'")
    planning.add_argument(
        "--key-files", action=Items, metavar="GLOB", help="the files the key stands for (default: the lock)"
    )
    planning.add_argument("--python-version", default="", metavar="REQUEST", help="as for uv's --python")
    planning.add_argument("--groups", action=Items, help="dependency groups beside the default ones")
    planning.add_argument(
        "--default-groups", action=BooleanOptionalAction, default=True, help="whether default groups are installed"
    )
    planning.add_argument("--extras", action=Items, help="extras that are installed")
    planning.add_argument("--packages", action=Items, help="workspace members that are installed")
    planning.add_argument("--sync-args", action=Items, help="more arguments of the sync")
    planning.add_mirror()
    planning.add_argument("--explain", action="store_true", help="tell on stderr what the key is made of")
    settling = commands.add_parser("settle", help="make the restored folder ready")
    settling.add_argument("--mode", choices=["restore", "save"], help="one half of the work, as planned")
    settling.add_argument("--path", type=Path, default=Path(), help="the cache's folder, as planned")
    settling.add_argument("--key", default="", help="the key, as planned")
    settling.add_argument(
        "--state", choices=["exact", "partial", "miss", "off"], required=True, help="what the restore found"
    )
    settling.add_argument("--reason", default="", help="the reason, as planned")
    settling.add_argument(
        "--save", action=BooleanOptionalAction, default=False, help="whether this job saves, as planned"
    )
    settling.add_argument(
        "--started", type=int, default=0, metavar="SECONDS", help="when the plan was made, in Unix time"
    )
    settling.add_argument(
        "--timed-out", action=BooleanOptionalAction, default=False, help="whether the restore was given up"
    )
    arguments = sys.argv[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments = ["plan", *arguments]
    return parser.parse_args(arguments)


def main() -> int:
    options = parse()
    return settle(options) if options.command == "settle" else plan(options)


if __name__ == "__main__":
    run_main(main)
