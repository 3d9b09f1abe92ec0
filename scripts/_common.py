"""What every tool does alike: exit codes, errors, options from the environment, secrets, files, findings.

Standard library only. `release_tree` puts this text into each released tool, so that a tool is one file.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import enum
import errno
import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

# Written by `release_tree` when it makes a release.
VERSION = "0.0.0"

# How long Buildkite's agent may try to reach its API: what it shows and hides is never worth more.
AGENT_SECONDS = 60


class Exit(enum.IntEnum):
    """What an exit code tells a caller; the same for every tool and for `install_uv.sh`."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    VERIFICATION = 3
    UNAUTHORISED = 4
    NETWORK = 5
    BUSY = 75


class Failure(Exception):
    """An end that the user can mend: what happened and why, what to type, and the exit code."""

    def __init__(self, message: str, mend: str = "", code: Exit = Exit.USAGE, title: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend
        self.code = code
        self.title = title


# ---------------------------------------------------------------------------------------------------------------------
# Talking to people


CI_PLATFORMS = ("github", "gitlab", "jenkins", "buildkite")


def platform() -> str:
    """The CI platform that runs this process: one of `CI_PLATFORMS`, or empty for a person at a terminal.

    Our wrappers say it themselves in UV_ACTIONS_PLATFORM, since a platform's own mark may be missing or false: a
    container that gets few variables, a local runner of pipelines, a job that starts another platform's tool.
    """
    told = os.environ.get("UV_ACTIONS_PLATFORM", "")
    if told:
        return told if told in CI_PLATFORMS else ""
    for name, variable in (("github", "GITHUB_ACTIONS"), ("gitlab", "GITLAB_CI"), ("buildkite", "BUILDKITE")):
        if os.environ.get(variable) == "true":
            return name
    return "jenkins" if os.environ.get("JENKINS_URL") else ""


def on_github() -> bool:
    """Whether this process is a step of GitHub Actions."""
    return platform() == "github"


def github_command(name: str, message: str, **properties: str | int | None) -> str:
    """One GitHub workflow command, escaped as the runner unescapes it.

    Source: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
    """

    def escape(text: str) -> str:
        return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

    given = [
        f"{key}={escape(str(value)).replace(':', '%3A').replace(',', '%2C')}"
        for key, value in properties.items()
        if value not in (None, "")
    ]
    return f"::{name}{' ' + ','.join(given) if given else ''}::{escape(message)}"


# Set by `--quiet` and `--verbose`, which every tool has.
_quiet = _verbose = False


def say(text: str) -> None:
    """Tells a person how it goes: on stderr, since stdout is data. Not with `--quiet`."""
    if not _quiet:
        _tell(text)


def trace(command: Sequence[str | Path]) -> None:
    """Tells with `--verbose` which command is run."""
    if _verbose:
        _tell(f"$ {shlex.join(map(str, command))}")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def warn(message: str, title: str = "") -> None:
    """A warning on stderr; on GitHub as an annotation."""
    _tell(github_command("warning", message, title=title) if on_github() else f"warning: {message}")


def tell_failure(failure: Failure) -> None:
    """Writes a failure to stderr: what and why, then how to mend it; on GitHub as an error annotation."""
    lines = [failure.message]
    if failure.mend:
        lines.append(f"To mend it: {failure.mend}")
    if on_github():
        _tell(github_command("error", "\n".join(lines), title=failure.title or program()))
    else:
        _tell("error: " + "\n  ".join(lines))


def program() -> str:
    """The tool's name as users type it: `lock_check`."""
    return Path(sys.argv[0]).stem


def run_main(main: Callable[[], int]) -> NoReturn:
    """Runs a tool's `main` and ends the process: with its exit code, or with one clear text and no traceback."""
    try:
        code = main()
        sys.stdout.flush()
    except Failure as failure:
        tell_failure(failure)
        code = failure.code
    except KeyboardInterrupt:
        _tell("interrupted")
        code = 130
    except BrokenPipeError:
        # The reader of stdout has gone; Python would complain once more while it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except OSError as error:
        tell_failure(Failure(f"{error.filename or program()}: {error.strerror or error}", os_mend(error)))
        code = Exit.USAGE
    sys.exit(int(code))


def os_mend(error: OSError) -> str:
    """What to do about an error of the operating system, where that can be said in general."""
    mends = {
        errno.ENOSPC: "free some disk space, then run it again",
        errno.EDQUOT: "free some of your disk quota, then run it again",
        errno.EACCES: "give this user the right to that path, or choose another one",
        errno.EPERM: "give this user the right to that path, or choose another one",
        errno.EROFS: "choose a path on a file system that can be written",
        errno.ENOENT: "check the path",
    }
    return mends.get(error.errno or 0, "")


# ---------------------------------------------------------------------------------------------------------------------
# Options


class Parser(argparse.ArgumentParser):
    """An argument parser whose options can also be given as `UV_ACTIONS_<TOOL>_<OPTION>`.

    An empty variable counts as not given. A list (`action=Items`) has one item a line; a switch (`store_true` or
    `BooleanOptionalAction`) is `true` or `false`. The command line wins. A wrong value ends with exit code 2 and names
    the option, which is also the name of a component's input.
    """

    def __init__(self, *arguments: Any, prefix: str = "", **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*arguments, **options)
        self.prefix = prefix or f"UV_ACTIONS_{program().upper()}"
        self.add_argument("-q", "--quiet", action="store_true", help="say on stderr only what went wrong")
        self.add_argument("-v", "--verbose", action="store_true", help="say on stderr which commands are run")

    def add_folder(self, help_: str = "the project's folder (default: .)") -> None:
        """Adds `--working-directory`, which becomes an absolute path."""
        self.add_argument("--working-directory", type=folder, default=".", metavar="DIR", help=help_)

    def add_mirror(self, help_: str = "a company index in front of PyPI") -> None:
        """Adds `--mirror`, which has one variable for all tools, UV_ACTIONS_MIRROR."""
        mirror = os.environ.get("UV_ACTIONS_MIRROR", "")
        self.add_argument("--mirror", type=index_url, default=mirror, metavar="URL", help=help_)

    def format_help(self) -> str:
        # Python before 3.13 adds to the help of these what the help says already.
        for action in self._actions:
            if isinstance(action, argparse.BooleanOptionalAction) and action.help:
                action.help = action.help.removesuffix(" (default: %(default)s)")
        return super().format_help()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        told = os.environ.get("UV_ACTIONS_PLATFORM", "")
        if told and told not in CI_PLATFORMS:
            raise Failure(
                f"UV_ACTIONS_PLATFORM is {told!r}, which is not one of: {', '.join(CI_PLATFORMS)}",
                "unset UV_ACTIONS_PLATFORM: our components set it themselves",
            )
        for action in self._actions:
            self._take_from_environment(action)
        options, rest = super().parse_known_args(args, namespace)
        global _quiet, _verbose
        _quiet, _verbose = options.quiet, options.verbose
        return options, rest

    def _take_from_environment(self, action: argparse.Action) -> None:
        text = os.environ.get(f"{self.prefix}_{action.dest.upper()}", "").strip()
        if not text or not action.option_strings or action.dest == "help":
            return
        name = next(each for each in action.option_strings if each.startswith("--"))[2:]
        if action.nargs == 0:
            action.default = as_switch(name, text)
        elif isinstance(action, Items):
            action.default = [self._convert(name, action, item) for item in as_lines(text)]
        else:
            action.default = self._convert(name, action, text)
        action.required = False

    def _convert(self, name: str, action: argparse.Action, text: str) -> Any:
        convert = action.type if callable(action.type) else str
        try:
            value = convert(text)
        except (ValueError, argparse.ArgumentTypeError) as error:
            raise Failure(f"`{name}`: {error}", f"give `{name}` a right value") from None
        if action.choices is not None and value not in action.choices:
            allowed = ", ".join(str(choice) for choice in action.choices)
            raise Failure(f"`{name}` is {text!r}, which is not one of: {allowed}", f"set `{name}` to one of: {allowed}")
        return value

    def error(self, message: str) -> NoReturn:
        raise Failure(message.replace("argument --", "--"), f"{self.prog} --help shows the options")


class Items(argparse.Action):
    """A list: one item each time the option is given, one item a line in its variable."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        options.setdefault("default", [])
        options.setdefault("metavar", "ITEM")
        super().__init__(option_strings, dest, **options)

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        items = getattr(namespace, self.dest)
        # The first one on the command line replaces what the environment gave.
        setattr(namespace, self.dest, [values] if items is self.default else [*items, values])


def as_switch(name: str, text: str) -> bool:
    """`true` or `false`, nothing else: `yes` and `1` would be taken for the other one somewhere."""
    if text not in ("true", "false"):
        raise Failure(
            f"`{name}` is {text!r}, but must be `true` or `false`", f"write `{name}: true` or `{name}: false`"
        )
    return text == "true"


def folder(text: str) -> Path:
    """The type of an option that takes a folder, which must be there."""
    path = Path(text).absolute()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder")
    return path


def index_url(text: str) -> str:
    """The type of an option that takes an index: a URL without user and password, which others could read there."""
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise argparse.ArgumentTypeError("there is a user or password in the URL; give it alone, and them apart")
    if text and parts.scheme not in ("https", "http", "file"):
        raise argparse.ArgumentTypeError(f"{text!r} is not the URL of an index")
    return text


def as_lines(text: str) -> list[str]:
    """The items of a list that has one item a line, without blank ones."""
    return [line.strip() for line in text.splitlines() if line.strip()]


# ---------------------------------------------------------------------------------------------------------------------
# Secrets


def mask(secret: str) -> None:
    """Tells the platform to hide a secret in the log, before anything can print it; where it can't, does nothing."""
    for line in filter(None, (part.strip() for part in secret.splitlines())):
        if on_github():
            print(github_command("add-mask", line), flush=True)
        elif platform() == "buildkite":
            _ask_buildkite_agent(["redactor", "add"], line)


def redact(text: str, secrets_: Iterable[str]) -> str:
    """The text with every secret replaced by `***`."""
    for secret in sorted(filter(None, secrets_), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


# ---------------------------------------------------------------------------------------------------------------------
# Files


def job_temp() -> Path:
    """The job's own temporary folder: GitHub's, else the one that our wrapper made, else the system's."""
    given = os.environ.get("RUNNER_TEMP") or os.environ.get("UV_ACTIONS_TEMP") or tempfile.gettempdir()
    return Path(given).absolute()


def write_atomic(path: Path, data: str | bytes, mode: int = 0o644) -> None:
    """Writes a file whole or not at all: another process sees the old content or the new one, never half of it."""
    content = data.encode() if isinstance(data, str) else data
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def write_private(path: Path, data: str | bytes) -> None:
    """The same for a file that only its owner may read."""
    write_atomic(path, data, 0o600)


def folder_size(folder: Path) -> int:
    """The bytes of all files below a folder, links not followed, a file that vanishes meanwhile not counted."""
    total = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    total += folder_size(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def human_size(size: float) -> str:
    """`12.3 MiB`."""
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


# ---------------------------------------------------------------------------------------------------------------------
# The job's cache


@dataclasses.dataclass(frozen=True)
class Cache:
    """A cache as the job will use it; `bytes` and `seconds` are of what was restored."""

    state: str  # exact, partial, miss or off
    reason: str
    bytes: int
    seconds: int
    save: bool
    path: str


def settle_cache(
    *, state: str, path: Path, key: str, reason: str, save: bool, started: int, timed_out: bool, saves_itself: bool
) -> Cache:
    """Makes a restored folder ready, and notes beside it for the job's later steps what is in it.

    What a cut restore left is removed, and on GitLab what another key left. All but `saves_itself` is as `cache_key
    plan` planned it and the restore found it; that one says whether the caller saves, or leaves it to a later step.
    `started` is in Unix time, 0 if not known. With state `off` there is a path only where uv shall use an empty cache.
    """
    if state == "off":
        if path == Path():
            return Cache("off", reason, 0, 0, save=False, path="")
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Cache("off", reason, 0, 0, save=False, path=str(path))
    if timed_out:
        # Its unpacking may still be writing there, so the job goes on in another folder, which isn't saved.
        path, state, save = path.with_name(f"{path.name}-new"), "miss", False
        reason = "the restore took too long and was given up"
    earlier = read_cache_note(path)
    if state == "miss" and not earlier and not _cleared(path):
        path, save = Path(tempfile.mkdtemp(prefix="uv-actions-cache-", dir=job_temp())), False
        reason = "what an earlier job left can't be removed by this one's user"
    path.mkdir(parents=True, exist_ok=True)
    save = save and state != "exact"
    if not earlier:
        note = {"key": key, "state": state, "saved": save and saves_itself, "job": _job()}
        write_atomic(_cache_note(path), json.dumps(note))
    seconds = max(0, int(time.time()) - started) if started else 0
    return Cache(state, reason, folder_size(path), seconds, save, str(path))


def _cleared(path: Path) -> bool:
    """Removes a cache and its marker; false where this user has not the right to."""
    try:
        # First the marker: a cache that is removed in part must not be taken for a whole one.
        if marker := cache_marker(path):
            marker.unlink(missing_ok=True)
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.exists():
            shutil.rmtree(path)
    except OSError:
        return False
    return True


def cache_marker(path: Path) -> Path | None:
    """The file beside a cache that holds the full key of what is in it, on GitLab.

    There the key of the stored archive is fixed before the job starts, and the archive is made at the job's end,
    whatever has become of the job. So the marker is written after the work alone, and removed before it begins anew.
    """
    return path.with_name("key") if platform() == "gitlab" else None


def read_cache_marker(path: Path) -> str:
    """The full key of what is in a cache; empty if nobody knows."""
    marker = cache_marker(path)
    try:
        return marker.read_text(encoding="utf-8").strip() if marker and path.is_dir() else ""
    except (OSError, ValueError):
        return ""


def write_cache_marker(path: Path, key: str) -> None:
    """Says that a cache holds all that the key stands for, where that is said by a marker."""
    if marker := cache_marker(path):
        write_atomic(marker, f"{key}\n")


def read_cache_note(path: Path) -> dict[str, Any]:
    """What an earlier step of this job has noted of this cache; empty if there was none."""
    try:
        note = json.loads(_cache_note(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) and note.get("job") == _job() else {}


def _cache_note(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _job() -> str:
    """What tells this job from others that get the same folder: a checkout may keep it, and a stored cache bring it."""
    names = {"gitlab": "CI_JOB_ID", "jenkins": "BUILD_TAG", "buildkite": "BUILDKITE_JOB_ID"}
    return os.environ.get(names.get(platform(), ""), "")


# ---------------------------------------------------------------------------------------------------------------------
# What a component gives to its platform


# GitHub has a file for each kind of thing that a step leaves to later ones. Elsewhere our wrapper names the files:
#   UV_ACTIONS_OUTPUT   the outputs: one JSON object of strings if its name ends in `.json`, else lines of sh that set
#                       `uv_out_<name, - as _>`
#   UV_ACTIONS_EXPORTS  variables and PATH for what runs later, as lines of sh
#   UV_ACTIONS_SUMMARY  the summary, as Markdown
# Lines of sh are made to be sourced. A person at a terminal has none of the files, and reads stdout.


def set_outputs(values: Mapping[str, object]) -> None:
    """Sets outputs of the component; where nobody takes them they are printed to stdout, `name=value` a line."""
    texts = {name: _as_text(value) for name, value in values.items()}
    file = os.environ.get("UV_ACTIONS_OUTPUT", "")
    if on_github() or not file:
        _append_pairs("GITHUB_OUTPUT", texts)
    elif file.endswith(".json"):
        _merge_json(Path(file), texts)
    else:
        lines = [f"uv_out_{name.replace('-', '_')}={_sh_quoted(text)}\n" for name, text in texts.items()]
        _append_to(file, "".join(lines))


def outputs_have_a_file() -> bool:
    """Whether outputs go to a file: a tool whose stdout is data sets none elsewhere."""
    return bool(os.environ.get("GITHUB_OUTPUT" if on_github() else "UV_ACTIONS_OUTPUT"))


def export(values: Mapping[str, object]) -> None:
    """Sets variables for the later steps of the job."""
    texts = {name: _as_text(value) for name, value in values.items()}
    file = os.environ.get("UV_ACTIONS_EXPORTS", "")
    if on_github() or not file:
        _append_pairs("GITHUB_ENV", texts)
    else:
        _append_to(file, "".join(f"export {name}={_sh_quoted(text)}\n" for name, text in texts.items()))


def add_path(folder: Path) -> None:
    """Puts a folder first on the PATH of the later steps of the job."""
    file = os.environ.get("UV_ACTIONS_EXPORTS", "")
    if on_github() or not file:
        _append("GITHUB_PATH", f"{folder}\n")
        return
    quoted = _sh_quoted(str(folder))
    if sys.platform == "win32":
        # The shell's PATH takes its own form alone: the colon of `C:` would end the entry.
        quoted = f'"$(cygpath -u {quoted})"'
    _append_to(file, f'PATH={quoted}:"$PATH"; export PATH\n')


def add_summary(markdown: str) -> None:
    """Adds a piece of Markdown to the page that the platform shows for the job; without one, to stderr."""
    text = markdown.rstrip("\n") + "\n"
    file = os.environ.get("UV_ACTIONS_SUMMARY", "")
    if on_github():
        shown = _append("GITHUB_STEP_SUMMARY", text)
    elif file:
        shown = True
        _append_to(file, text)
    else:
        context = f"uv-actions-{os.environ.get('BUILDKITE_JOB_ID', '')}"
        shown = platform() == "buildkite" and _ask_buildkite_agent(
            # Appended text needs an empty line before it, or the page takes it for the end of the last table.
            ["annotate", "--append", "--context", context, "--style", "info"],
            f"\n{text}",
        )
    if not shown:
        say(markdown)


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _append_pairs(variable: str, texts: Mapping[str, str]) -> None:
    lines = []
    for name, text in texts.items():
        # A delimiter that nobody can guess: text with line ends can't set another name.
        delimiter = f"uv-actions-{secrets.token_hex(8)}"
        lines.append(f"{name}<<{delimiter}\n{text}\n{delimiter}\n" if on_github() else f"{name}={text}\n")
    if not _append(variable, "".join(lines)):
        sys.stdout.write("".join(lines))


def _append(variable: str, text: str) -> bool:
    path = os.environ.get(variable) if on_github() else None
    if path:
        _append_to(path, text)
    return bool(path)


def _append_to(path: str, text: str) -> None:
    # File names that are no UTF-8 keep their bytes.
    with open(path, "a", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        file.write(text)


def _merge_json(path: Path, texts: Mapping[str, str]) -> None:
    """Adds strings to the object in a file, which may be absent or empty. ASCII alone: no reader gets it wrong."""
    try:
        before = path.read_text(encoding="utf-8").strip() if path.exists() else ""
        values = json.loads(before or "{}")
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise Failure(f"UV_ACTIONS_OUTPUT names {path}, which holds no JSON object", "name a new file")
    write_atomic(path, json.dumps({**values, **texts}, indent=2) + "\n")


def _sh_quoted(text: str) -> str:
    """The text as one word of sh in which nothing is expanded."""
    return "'" + text.replace("'", "'\\''") + "'"


def _ask_buildkite_agent(arguments: list[str], text: str) -> bool:
    """Gives the text to the agent on stdin; false where it can't be asked or refuses, which fails no job."""
    agent = shutil.which("buildkite-agent")
    if not agent:
        return False
    trace([agent, *arguments])
    try:
        result = subprocess.run(
            [agent, *arguments],
            input=text,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=AGENT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0


# ---------------------------------------------------------------------------------------------------------------------
# uv


def find_uv() -> str:
    """The absolute path of uv: the one that `scripts/run` found or installed, else the first on PATH."""
    beside = os.environ.get("UV_ACTIONS_BIN")
    found = shutil.which("uv", path=beside) if beside else None
    found = found or shutil.which("uv")
    if not found:
        raise Failure("uv is not on PATH", "start the tool by `sh scripts/run`, which brings uv")
    return os.path.abspath(found)


# ---------------------------------------------------------------------------------------------------------------------
# Findings


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing to mend. `file` is relative to the repository's root, `line` and `column` count from 1."""

    rule: str
    level: str  # error, warning or note
    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    fix: str = ""
    url: str = ""


def as_json(findings: Sequence[Finding], ok: bool, **more: object) -> str:
    """The one JSON object that `--format json` prints."""
    document = {"tool": program(), "version": VERSION, "ok": ok, "findings": [vars(each) for each in findings], **more}
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_sarif(findings: Sequence[Finding], rules: Mapping[str, str]) -> str:
    """The findings as SARIF 2.1.0; `rules` maps each rule's id to one sentence."""
    results: list[dict[str, Any]] = []
    for finding in findings:
        text = finding.message + (f"\nTo mend it: {finding.fix}" if finding.fix else "")
        result: dict[str, Any] = {"ruleId": finding.rule, "level": finding.level, "message": {"text": text}}
        if finding.file:
            place: dict[str, Any] = {
                "artifactLocation": {"uri": quote(finding.file, errors="surrogateescape"), "uriBaseId": "%SRCROOT%"}
            }
            if finding.line:
                place["region"] = {
                    "startLine": finding.line,
                    **({"startColumn": finding.column} if finding.column else {}),
                }
            result["locations"] = [{"physicalLocation": place}]
        if finding.url:
            result["hostedViewerUri"] = finding.url
        results.append(result)
    driver = {
        "name": program(),
        "version": VERSION,
        "rules": [{"id": rule, "shortDescription": {"text": sentence}} for rule, sentence in rules.items()],
    }
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def exit_for(findings: Iterable[Finding], fail_on: str) -> Exit:
    """`FINDINGS` if one of them is at or above `fail_on` (`error`, `warning`, `note` or `never`)."""
    failing = {"never": (), "error": ("error",), "warning": ("error", "warning"), "note": ("error", "warning", "note")}
    return Exit.FINDINGS if any(each.level in failing[fail_on] for each in findings) else Exit.OK
