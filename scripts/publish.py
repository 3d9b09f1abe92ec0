#!/usr/bin/env -S uv run --no-config --locked --script
# /// script
# requires-python = ">=3.10"
# dependencies = ["tomli>=2; python_version < '3.11'"]
# ///
"""Uploads distributions to a package index, each once, by a password or by trusted publishing.

With `check-url` or `index`, the index is read first: what it already holds is skipped, a file of the same name with
other content ends the job before anything is uploaded, and afterwards every file has to be listed. uv does the upload,
without the checkout's configuration: in that one, `trusted-publishing` beats the option (uv 0.13.9), and a job that
publishes should do what its own options say. What is taken from there is the index named by `index`, and `publish-url`
and `check-url` where neither of these options is given.

With `sha256`, the list that `build` gives out, nothing is uploaded unless the distributions are exactly those of it.

The password comes from UV_ACTIONS_PUBLISH_PASSWORD alone, since the arguments of a process can be read by others.
Variables of uv that a job may have from anywhere, an earlier job of the pipeline among it, don't move the upload.

Exit: 2 wrong use, 3 a file isn't the one that was built, or the index holds other content under the same name, 4 not
authorised (password, permission, trusted publishing refused), 5 network or an index that doesn't answer as one.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import glob
import hashlib
import html.parser
import json
import netrc
import os
import re
import subprocess
import sys
import time
from argparse import BooleanOptionalAction, Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from _common import (
    AGENT_SECONDS,
    Exit,
    Failure,
    Parser,
    add_summary,
    as_lines,
    find_uv,
    mask,
    on_github,
    platform,
    redact,
    run_main,
    say,
    set_outputs,
    trace,
    warn,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# What an index lists of a project: the names of files, each with its hashes by algorithm.
Files = dict[str, dict[str, str]]

# The caller's UV_* that reach uv: how to connect. All others speak of other work than this upload.
PASSED_ON = (
    "UV_SYSTEM_CERTS",
    "UV_NATIVE_TLS",
    "UV_INSECURE_HOST",
    "UV_OFFLINE",
    "UV_HTTP_TIMEOUT",
    "UV_REQUEST_TIMEOUT",
    "UV_HTTP_CONNECT_TIMEOUT",
    "UV_UPLOAD_HTTP_TIMEOUT",
    "UV_HTTP_RETRIES",
)

# uv's own variables for an upload, and the option that stands for each here.
INSTEAD_OF = {
    "UV_PUBLISH_TOKEN": "password",
    "UV_PUBLISH_PASSWORD": "password",
    "UV_PUBLISH_USERNAME": "username",
    "UV_PUBLISH_URL": "publish-url",
    "UV_PUBLISH_CHECK_URL": "check-url",
    "UV_PUBLISH_INDEX": "index",
    "UV_PUBLISH_NO_ATTESTATIONS": "dist",
}

# The option that brings a password; a platform whose options aren't secrets takes the name of one.
PASSWORD_OPTIONS = {"gitlab": "password-env", "jenkins": "credentialsId", "buildkite": "password-env"}

# The variable that holds the tag a job runs for; GitHub has one for all refs.
TAGS = {"gitlab": "CI_COMMIT_TAG", "jenkins": "TAG_NAME", "buildkite": "BUILDKITE_TAG"}

ATTESTATION = ".publish.attestation"
# The first uv that uploads attestations.
ATTESTING_UV = (0, 9, 12)

PERMISSION = "permissions:\n    id-token: write\n    contents: read"

# The claims that indexes compare with a publisher, and those that tell a person which job it was.
# Sources: https://docs.github.com/actions/reference/security/oidc,
# https://docs.gitlab.com/ci/secrets/id_token_authentication, https://buildkite.com/docs/agent/cli/reference/oidc
CLAIMS = {
    "github": (
        "iss",
        "aud",
        "sub",
        "repository",
        "repository_owner",
        "repository_owner_id",
        "job_workflow_ref",
        "workflow_ref",
        "ref",
        "environment",
        "event_name",
    ),
    "gitlab": (
        "iss",
        "aud",
        "sub",
        "project_path",
        "ci_config_ref_uri",
        "ref_path",
        "ref_protected",
        "environment",
        "pipeline_source",
    ),
    "buildkite": ("iss", "aud", "sub", "organization_slug", "pipeline_slug", "build_branch", "build_tag", "step_key"),
}

# The one GitLab whose identities PyPI takes.
GITLAB_ISSUER = "https://gitlab.com"

# What a server answers with that points to another one.
REDIRECTIONS = (301, 302, 303, 307, 308)

# Seconds between two looks at the index after an upload.
PAUSE = 3


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A file to upload. `project` is normalised, `size` in bytes, `attestations` are the files that go along."""

    path: Path
    project: str
    version: str
    size: int
    sha256: str
    attestations: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        return self.path.name


@dataclasses.dataclass(frozen=True)
class Login:
    """A user name and a password, or a token with the name `__token__`."""

    username: str
    password: str


@dataclasses.dataclass(frozen=True)
class Target:
    """Where to upload and where to look: URLs without credentials. Empty: uv's default index, and nowhere."""

    publish_url: str = ""
    check_url: str = ""
    read_login: Login | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run will do; `--dry-run` shows it and the real run does it. `login` is empty for trusted publishing.

    `forwarded` are the projects for which the index points to another one, so that uv must not look there.
    """

    target: Target
    login: Login | None
    upload: tuple[Distribution, ...]
    skip: tuple[Distribution, ...]
    forwarded: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Distribution, ...]:
        return tuple(sorted((*self.upload, *self.skip), key=lambda each: each.name))

    @property
    def secrets(self) -> list[str]:
        logins = (self.login, self.target.read_login)
        return [text for login in logins if login for text in (login.password, quote(login.password, safe=""))]


def parse_arguments() -> Namespace:
    parser = Parser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_folder("the folder that `dist` and `index` are relative to (default: .)")
    parser.add_argument("--dist", default="dist", help="folders or files to upload, one a line; default: dist")
    parser.add_argument(
        "--sha256",
        default="",
        metavar="LIST",
        help="what `dist` has to hold: a hash, two spaces, a file's name, a line",
    )
    parser.add_argument("--index", default="", help="an index of the project's configuration that has a publish-url")
    parser.add_argument("--publish-url", default="", help="where to upload; default: uv's own")
    parser.add_argument("--check-url", default="", help="the simple API of that index, to skip what is there")
    parser.add_argument("--trusted-publishing", choices=("auto", "always", "never"), default="auto")
    parser.add_argument("--username", default="", help="whose password is UV_ACTIONS_PUBLISH_PASSWORD")
    parser.add_argument("--dry-run", action=BooleanOptionalAction, default=False, help="upload nothing")
    parser.add_argument(
        "--tag-matches-version",
        action=BooleanOptionalAction,
        default=True,
        help="on a tag, its version has to be that of the distributions; default: true",
    )
    parser.add_argument(
        "--wait", type=int, default=120, metavar="SECONDS", help="how long the index may take to list what was uploaded"
    )
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    password = os.environ.get("UV_ACTIONS_PUBLISH_PASSWORD", "").strip()
    mask(password)
    try:
        return publish(arguments, password)
    except Failure as failure:
        if has_summary():
            add_summary(failure_as_markdown(failure))
        raise


def publish(arguments: Namespace, password: str) -> int:
    """Find, decide, act, tell."""
    folder = arguments.working_directory
    login = choose_login(arguments.trusted_publishing, arguments.username, password)
    warn_of_uv_variables(os.environ)
    files = find_distributions(folder, as_lines(arguments.dist))
    if built := read_hashes(arguments.sha256):
        check_hashes(files, built)
    if arguments.tag_matches_version:
        check_tag(tag_of(os.environ), files)
    target = find_target(folder, arguments, login)
    before = {name: read_index(target, name) for name in projects(files)} if target.check_url else {}
    plan = decide(target, login, files, before)

    if plan.upload and not login:
        check_identity(os.environ)
    uploaded_to = upload(plan, arguments.dry_run) if plan.upload else target.publish_url
    if not arguments.dry_run:
        wait_until_listed(plan, arguments.wait)
    tell(plan, page_of(plan, uploaded_to), arguments.dry_run)
    return Exit.OK


# ---------------------------------------------------------------------------------------------------------------------
# Find: credentials, distributions, the index


def choose_login(trusted_publishing: str, username: str, password: str) -> Login | None:
    """The login to upload with, or None for trusted publishing."""
    option = password_option()
    ways = f"give `{option}` (with `username`, unless it is a token), or drop both and use trusted publishing"
    if platform() == "jenkins" and not password:
        raise Failure(
            "no password is given, and trusted publishing can't take its place: indexes trust no identity of Jenkins",
            f"give `{option}`: the id of credentials that hold an API token, or a user name with a password",
        )
    if trusted_publishing == "always" and (username or password):
        given = " and ".join(name for name, value in (("username", username), (option, password)) if value)
        raise Failure(f"`{given}` is given beside `trusted-publishing: always`, and only one of them can be used", ways)
    if username and not password:
        raise Failure(f"`username` is {username!r}, but `{option}` is empty: is the secret missing here?", ways)
    if trusted_publishing == "never" and not password:
        raise Failure(f"`trusted-publishing` is `never`, and no `{option}` is given", ways)
    return Login(username or "__token__", password) if password else None


def password_option() -> str:
    """The option that users of this platform give a password by."""
    return PASSWORD_OPTIONS.get(platform(), "password")


def warn_of_uv_variables(environment: Mapping[str, str]) -> None:
    """Says which of uv's variables for uploads don't count here: a job may have them from anywhere."""
    for name, option in INSTEAD_OF.items():
        if environment.get(name):
            option = password_option() if option == "password" else option
            warn(f"{name} of the environment is not used; give `{option}`", title="publish")


def find_distributions(folder: Path, places: Sequence[str]) -> list[Distribution]:
    """The wheels and source distributions in folders, or given as files, each with its attestations."""
    found: dict[str, Path] = {}
    attestations: dict[str, list[Path]] = {}
    ignored: list[str] = []
    for path in (path for place in places for path in files_at(folder / place)):
        if path.name.endswith(ATTESTATION):
            attestations.setdefault(path.name[: -len(ATTESTATION)], []).append(path)
        elif not name_and_version(path.name):
            ignored.append(path.name)
        elif path.name in found and sha256_of(found[path.name]) != sha256_of(path):
            raise Failure(f"{found[path.name]} and {path} are not the same file", "leave one of them in `dist`")
        else:
            found.setdefault(path.name, path)
    if not found:
        seen = f" (only {', '.join(ignored[:5])})" if ignored else ""
        raise Failure(
            f"no wheel and no source distribution in {', '.join(places)}{seen}",
            "build before (`uv build`, or the `build` component), or download the built artifact into `dist`",
        )
    if ignored:
        say(f"not a distribution, left out: {', '.join(map(repr, ignored))}")
    for name in sorted(attestations.keys() - found.keys()):
        warn(f"{name}{ATTESTATION} belongs to no distribution in `dist` and is left out", title="publish")
    return [as_distribution(path, tuple(attestations.get(name, ()))) for name, path in sorted(found.items())]


def files_at(path: Path) -> list[Path]:
    """The files of one line of `dist`: those of a folder but for hidden ones, or the file itself."""
    if path.is_dir():
        return sorted(each for each in path.iterdir() if each.is_file() and not each.name.startswith("."))
    if path.is_file():
        return [path]
    raise Failure(
        f"`dist` names {path}, which does not exist",
        "build before, or download the built artifact; `dist` takes folders and files, one a line, and no patterns",
    )


def as_distribution(path: Path, attestations: tuple[Path, ...]) -> Distribution:
    project, version = name_and_version(path.name) or ("", "")
    return Distribution(path, project, version, path.stat().st_size, sha256_of(path), attestations)


def read_hashes(text: str) -> dict[str, str]:
    """The names and hashes in a list as `sha256sum` writes it and `build` gives it out."""
    hashes: dict[str, str] = {}
    for line in as_lines(text):
        found = re.fullmatch(r"(?P<digest>[0-9a-fA-F]{64}) [ *](?P<name>\S.*)", line)
        if not found:
            raise Failure(
                f"`sha256` has a line that is no hash, two spaces and a name: {line!r}",
                "give the output `sha256` of the component `build` as it is",
            )
        if hashes.setdefault(found["name"], found["digest"].lower()) != found["digest"].lower():
            raise Failure(f"`sha256` has two hashes of {found['name']}", "give the list of one build")
    return hashes


def check_hashes(files: Sequence[Distribution], built: Mapping[str, str]) -> None:
    """Refuses distributions that are not, one by one, those that were built: each came through a store of others."""
    found = {file.name: file.sha256 for file in files}
    changed = [name for name in found if name in built and found[name] != built[name]]
    wrong = [
        *(f"{name} has other content (here {found[name]}, built {built[name]})" for name in changed),
        *(f"{name} was not built" for name in found if name not in built),
        *(f"{name} is missing" for name in built if name not in found),
    ]
    if wrong:
        raise Failure(
            f"`dist` does not hold what `sha256` says was built: {'; '.join(wrong)}",
            "publish the files of the build alone: look for what writes to `dist` after it, then run the build again",
            Exit.VERIFICATION,
            "publish: not what was built",
        )


def name_and_version(file_name: str) -> tuple[str, str] | None:
    """Project and version of a distribution's file name; None for any other file.

    Source: https://packaging.python.org/specifications/binary-distribution-format and .../source-distribution-format
    """
    if file_name.endswith(".whl"):
        parts = file_name[:-4].split("-")
        name, version = (parts[0], parts[1]) if len(parts) in (5, 6) else ("", "")
    elif file_name.endswith(".tar.gz"):
        name, _, version = file_name[:-7].rpartition("-")
    else:
        return None
    written_well = re.fullmatch(r"[A-Za-z0-9._+!-]+", file_name) and version[:1].isdigit()
    return (normalised(name), version) if name and written_well else None


def normalised(name: str) -> str:
    """A project's name as indexes write it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def sha256_of(path: Path) -> str:
    return digest_of(path, "sha256")


def digest_of(path: Path, algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def projects(files: Iterable[Distribution]) -> list[str]:
    return sorted({file.project for file in files})


def find_target(folder: Path, arguments: Namespace, login: Login | None) -> Target:
    """Where to upload and where to look, with what to log in there for reading."""
    publish_url, check_url, name = arguments.publish_url, arguments.check_url, arguments.index
    if name and (publish_url or check_url):
        other = "publish-url" if publish_url else "check-url"
        raise Failure(f"`index` and `{other}` are both given", f"give `index` alone, or `{other}` without `index`")
    if name:
        index = configured_index(folder, name)
        publish_url, check_url = index["publish-url"], index["url"]
    elif not publish_url:
        publish_url, check_url = configured(folder, "publish-url"), check_url or configured(folder, "check-url")
    check_address("publish-url", publish_url)
    check_address("check-url", check_url)
    if not login and publish_url.startswith("http:"):
        raise Failure("trusted publishing over http would show its token to others", "give `publish-url` with https")
    read_login = find_read_login(name, publish_url, check_url, login, os.environ) if check_url else None
    if read_login:
        mask(read_login.password)
    return Target(publish_url, check_url.rstrip("/") + "/" if check_url else "", read_login)


def check_address(option: str, url: str) -> None:
    """Refuses what is no http address, and what holds a password: it would be in logs and process lists."""
    if not url:
        return
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    else:
        if parts.username is not None:
            raise Failure(f"`{option}` holds a user name or password", "take it out; use `username` and `password`")
    if not good:
        raise Failure(f"`{option}` is no URL with http or https", f"give `{option}` as https://host/path/")


def configuration_files(folder: Path) -> list[Path]:
    """uv's configuration for a folder, the nearest first: a `uv.toml` hides a `pyproject.toml` beside it."""
    if named := os.environ.get("UV_CONFIG_FILE"):
        if platform() != "gitlab":
            return [Path(named)]
        # An earlier job's dotenv report would decide there where this one uploads.
        warn("UV_CONFIG_FILE of the environment is not used; give `publish-url`", title="publish")
    found = []
    for each in (folder.resolve(), *folder.resolve().parents):
        beside = [each / name for name in ("uv.toml", "pyproject.toml") if (each / name).is_file()]
        found += beside[:1]
    return found


def settings_in(path: Path) -> dict[str, Any]:
    """uv's settings in a file."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Failure(f"{path} can't be read: {error}", "correct the file") from None
    for table in ("tool", "uv") if path.name == "pyproject.toml" else ():
        document = document.get(table, {}) if isinstance(document, dict) else {}
    return document if isinstance(document, dict) else {}


def configured(folder: Path, key: str) -> str:
    """A setting of uv's configuration, or "" where none has it."""
    found = (settings_in(path).get(key) for path in configuration_files(folder))
    return str(next(filter(None, found), ""))


def configured_index(folder: Path, name: str) -> dict[str, str]:
    """The index of that name in uv's configuration, which has a `url` and a `publish-url`."""
    known: list[str] = []
    files = configuration_files(folder)
    for path in files:
        for index in filter(lambda each: isinstance(each, dict), settings_in(path).get("index", [])):
            known.append(str(index.get("name", "")))
            if known[-1] != name:
                continue
            if not index.get("publish-url") or not index.get("url"):
                raise Failure(f"the index {name!r} in {path} lacks `url` or `publish-url`", "add it to that index")
            return {key: str(index[key]) for key in ("url", "publish-url")}
    if not files:
        raise Failure(
            f"`index` is {name!r}, but there is no pyproject.toml or uv.toml in {folder.resolve()} or above",
            "check the project out before, or give `publish-url` and `check-url`",
        )
    names = ", ".join(filter(None, known)) or "none"
    raise Failure(
        f"`index` is {name!r}, but the configuration has no index of that name (it has: {names})",
        "add to pyproject.toml a [[tool.uv.index]] with `name`, `url` and `publish-url`",
    )


def find_read_login(
    name: str, publish_url: str, check_url: str, login: Login | None, environment: Mapping[str, str]
) -> Login | None:
    """What to log in with for reading: the index's own variables, netrc, else the upload's on the same server."""
    variable = "UV_INDEX_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
    username, password = (environment.get(f"{variable}_{part}", "") for part in ("USERNAME", "PASSWORD"))
    if name and (username or password):
        return Login(username, password)
    host = urlsplit(check_url).hostname or ""
    with contextlib.suppress(OSError, netrc.NetrcParseError):
        if entry := netrc.netrc(environment.get("NETRC")).authenticators(host):
            return Login(entry[0] or entry[1] or "", entry[2] or "")
    return login if urlsplit(publish_url)[:2] == urlsplit(check_url)[:2] else None


# ---------------------------------------------------------------------------------------------------------------------
# Find: what the index holds


class Links(html.parser.HTMLParser):
    """The links of a page of the simple API."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for key, value in attrs if tag == "a" and key == "href" and value]


def read_index(target: Target, project: str) -> Files | None:
    """The files of a project that the index lists; none for an unknown project, None if it points to another index.

    GitLab does so for every project that its registry doesn't hold, and what is there is another one of that name.
    Source: https://packaging.python.org/specifications/simple-repository-api
    """
    url = urljoin(target.check_url, f"{project}/")
    authorization = ""
    if target.read_login:
        pair = f"{target.read_login.username}:{target.read_login.password}"
        authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
    try:
        status, content_type, body = get_patiently(url, authorization)
    except OSError as error:
        raise unreadable(url, str(getattr(error, "reason", error))) from None
    if status == 404:
        return {}
    if status in REDIRECTIONS:
        return None
    if status in (401, 403):
        raise Failure(
            f"the index does not show what it holds already: status {status} from {url}",
            "give a login for reading: UV_INDEX_<NAME>_USERNAME and _PASSWORD with `index`, or an entry in netrc",
            Exit.UNAUTHORISED,
        )
    if status != 200:
        raise unreadable(url, f"status {status}")
    try:
        return files_in_json(body) if "json" in content_type else files_in_html(body)
    except (ValueError, KeyError, TypeError):
        raise unreadable(url, "the answer is no page of the simple API") from None


def unreadable(url: str, why: str) -> Failure:
    mend = "check `check-url` (or the index's `url`), and that it can be reached from here; then run it again"
    return Failure(f"the index can't be read at {url}: {why}", mend, Exit.NETWORK)


def get_patiently(url: str, authorization: str) -> tuple[int, str, bytes]:
    """The same as `get`; what passes by itself is tried three times."""
    for pause in (1, 2):
        with contextlib.suppress(OSError):
            answer = get(url, authorization)
            if answer[0] < 500:
                return answer
        time.sleep(pause)
    return get(url, authorization)


def get(url: str, authorization: str = "") -> tuple[int, str, bytes]:
    """Status, content type and body of an answer, after redirections on the same host.

    Raises:
        OSError: there is none, or half of one.
    """
    # Here, since they take longer to load than all else together.
    import http.client
    import urllib.error
    import urllib.request

    class SameHost(urllib.request.HTTPRedirectHandler):
        def redirect_request(
            self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
        ) -> urllib.request.Request | None:
            if urlsplit(newurl).hostname != urlsplit(url).hostname:
                return None
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    request = urllib.request.Request(url)  # noqa: S310  # the scheme was checked
    request.add_header("Accept", "application/vnd.pypi.simple.v1+json, text/html;q=0.2, */*;q=0.1")
    request.add_header("Cache-Control", "no-cache")
    if authorization:
        # Unredirected: another port that this server points to must not see it.
        request.add_unredirected_header("Authorization", authorization)
    try:
        with urllib.request.build_opener(SameHost).open(request, timeout=30) as answer:
            return answer.status, answer.headers.get_content_type(), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, "", b""
    except http.client.HTTPException as error:
        raise OSError(f"the answer is cut or no HTTP ({error!r})") from None


def files_in_json(body: bytes) -> Files:
    return {file["filename"]: dict(file["hashes"]) for file in json.loads(body)["files"]}


def files_in_html(body: bytes) -> Files:
    page = Links()
    page.feed(body.decode("utf-8", "replace"))
    files = {}
    for link in page.found:
        parts = urlsplit(link)
        algorithm, _, digest = parts.fragment.partition("=")
        files[unquote(parts.path.rpartition("/")[2])] = {algorithm: digest} if digest else {}
    return files


# ---------------------------------------------------------------------------------------------------------------------
# Decide


def decide(
    target: Target, login: Login | None, files: Sequence[Distribution], before: Mapping[str, Files | None]
) -> Plan:
    """What to upload and what to skip; a file that the index holds with other content is a failure."""
    ours, theirs = [], []
    for file in files:
        hashes = (before.get(file.project) or {}).get(file.name)
        if hashes is None:
            ours.append(file)
        elif same_content(file, hashes):
            theirs.append(file)
        else:
            raise other_content(file.name, f"here sha256 {file.sha256}, there {hashes or 'no hash'}")
    forwarded = tuple(project for project, held in before.items() if held is None)
    return Plan(target, login, tuple(ours), tuple(theirs), forwarded)


def same_content(file: Distribution, hashes: Mapping[str, str]) -> bool:
    """Whether a file has the content that an index tells by its hashes; not if it tells none that we know."""
    known = [name for name in ("sha256", "sha512", "sha384", "sha1", "md5") if hashes.get(name)]
    return bool(known) and digest_of(file.path, known[0]) == hashes[known[0]].lower()


def other_content(name: str, detail: str) -> Failure:
    return Failure(
        f"the index already holds {name} with other content ({detail})",
        "a release can't be changed: publish under a new version, or upload the files of the first build",
        Exit.VERIFICATION,
        "publish: other content",
    )


def tag_of(environment: Mapping[str, str]) -> str:
    """The tag this job runs for, or ""."""
    if platform() == "github":
        ref = environment.get("GITHUB_REF", "")
        return ref.removeprefix("refs/tags/") if ref.startswith("refs/tags/") else ""
    return environment.get(TAGS.get(platform(), ""), "")


def check_tag(tag: str, files: Sequence[Distribution]) -> None:
    """Refuses distributions of another version than the tag says.

    A tag is a version (`1.2.3`, `v1.2.3`), or one behind a project's name (`app-v1.2.3`, `app/1.2.3`, `app@1.2.3`),
    which then speaks of that project's files alone.
    """
    if not tag:
        return
    mend = "tag the commit with the version it has, or set `tag-matches-version: false`"
    project, version = split_tag(tag, projects(files))
    if version is None:
        raise Failure(f"the tag {tag!r} is no version, so it can't be compared with the distributions", mend)
    wrong = [file.name for file in files if project in ("", file.project) and release_of(file.version) != version]
    if wrong:
        raise Failure(f"the tag {tag!r} and the version of {', '.join(wrong)} are not the same", mend)


def split_tag(tag: str, known: Iterable[str]) -> tuple[str, tuple[object, ...] | None]:
    """The project that a tag names ("" for none) and its version; None where it holds none."""
    if version := release_of(tag):
        return "", version
    for separator in re.finditer(r"[-_/@.]+|==", tag):
        project = normalised(tag[: separator.start()].rpartition("/")[2])
        if project in known and (version := release_of(tag[separator.end() :])):
            return project, version
    return "", None


def release_of(text: str) -> tuple[object, ...] | None:
    """A version in a form where equal versions are equal, however they are written; None for what is no version.

    Source: https://packaging.python.org/specifications/version-specifiers, "Normalization"
    """
    found = re.fullmatch(
        r"v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)"
        r"(?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_number>\d*))?"
        r"(?P<post>-(?P<post_bare>\d+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_number>\d*))?"
        r"(?P<dev>[-_.]?dev[-_.]?(?P<dev_number>\d*))?"
        r"(?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?",
        text.strip().lower(),
    )
    if not found:
        return None
    part = found.groupdict(default="")
    release = [int(number) for number in part["release"].split(".")]
    while len(release) > 1 and not release[-1]:
        release.pop()
    pre = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}.get(part["pre"], part["pre"])
    return (
        int(part["epoch"] or 0),
        tuple(release),
        (pre, int(part["pre_number"] or 0)),
        int(part["post_bare"] or part["post_number"] or 0) if part["post"] else None,
        int(part["dev_number"] or 0) if part["dev"] else None,
        re.sub(r"[-_.]", ".", part["local"]),
    )


def check_identity(environment: Mapping[str, str]) -> None:
    """Says why a GitHub job can't have an identity token, before uv tries. Of others uv's own words tell it."""
    if not on_github() or environment.get("ACTIONS_ID_TOKEN_REQUEST_URL"):
        return
    event = read_event(environment)
    head = ((event.get("pull_request") or {}).get("head") or {}).get("repo") or {}
    base = (event.get("repository") or {}).get("full_name", environment.get("GITHUB_REPOSITORY", ""))
    # The event `pull_request_target` runs with the repository's own rights, whoever asks.
    own_rights = environment.get("GITHUB_EVENT_NAME") == "pull_request_target"
    if "pull_request" in event and head.get("full_name") != base and not own_rights:
        raise Failure(
            f"this is a pull request from a fork ({head.get('full_name') or 'deleted'}), and GitHub gives such a job no"
            " identity token, whatever its permissions say",
            "publish from a push, a tag or a release of the repository itself; leave the step out on pull requests with"
            " `if: github.event_name != 'pull_request'`",
            Exit.UNAUTHORISED,
            "publish: pull request from a fork",
        )
    raise Failure(
        "this job has no permission to ask for an identity token, so trusted publishing can't work; no `password` was"
        " given either",
        f"add to the job (a reusable workflow's caller needs it too):\n  {PERMISSION}\nor give `password`",
        Exit.UNAUTHORISED,
        "publish: permission missing",
    )


def read_event(environment: Mapping[str, str]) -> dict[str, Any]:
    """What has started this GitHub job."""
    try:
        return json.loads(Path(environment.get("GITHUB_EVENT_PATH", "")).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


# ---------------------------------------------------------------------------------------------------------------------
# Act


def upload(plan: Plan, dry_run: bool) -> str:
    """Lets uv upload the plan's files, or only check them, and returns the URL that it says it uploads to."""
    uv = find_uv()
    attestations = [path for file in plan.upload for path in file.attestations]
    if attestations:
        check_attesting(uv)
    command = [uv, "publish", "--no-config", "--no-cache", "--no-progress", "--color", "never"]
    command += ["--keyring-provider", "disabled", "--trusted-publishing", "never" if plan.login else "always"]
    command += ["--dry-run"] if dry_run else []
    command += ["--publish-url", plan.target.publish_url] if plan.target.publish_url else []
    # uv takes its arguments for patterns.
    command += ["--", *(glob.escape(str(path)) for path in (*(file.path for file in plan.upload), *attestations))]
    trace(command)
    with subprocess.Popen(
        command,
        env=environment_for_uv(plan, os.environ),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        lines = []
        for line in process.stderr or ():
            lines.append(redact(line.rstrip(), plan.secrets))
            # The server's own words are in there: at the start of a line they would be commands to the runner.
            say(re.sub(r"^(\s*)::", r"\1: :", lines[-1]))
    text = " ".join(" ".join(lines).split())
    told = re.match(r"(?:Publishing|Checking) \d+ files? (?:to|against) `?(\S+?)`?(?: |$)", text)
    uploaded_to = plan.target.publish_url or (told[1] if told else "")
    if odd := re.findall(r"`?(\S+?)`? has a non-normalized filename", text):
        raise Failure(
            f"uv left out {', '.join(odd)}: the version in the name is not written in its normal form",
            "build with a current build backend, which normalises it",
        )
    if process.returncode:
        raise explain(text, plan, uploaded_to)
    return uploaded_to


def check_attesting(uv: str) -> None:
    """Refuses a uv that would leave the attestations behind without a word."""
    run = subprocess.run([uv, "--version"], stdout=subprocess.PIPE, check=False, encoding="utf-8", errors="replace")
    numbers = re.search(r"(\d+)\.(\d+)\.(\d+)", run.stdout)
    if numbers and tuple(map(int, numbers.groups())) < ATTESTING_UV:
        least = ".".join(map(str, ATTESTING_UV))
        raise Failure(
            f"there are attestations to upload, but uv {numbers[0]} does not upload any",
            f"set UV_ACTIONS_UV_VERSION to {least} or later, or raise the project's `required-version`",
        )


def environment_for_uv(plan: Plan, environment: Mapping[str, str]) -> dict[str, str]:
    """What uv gets to see: how to connect, and the credentials of this one upload."""
    child = {name: value for name, value in environment.items() if not name.startswith("UV_") or name in PASSED_ON}
    if plan.login:
        child |= {"UV_PUBLISH_USERNAME": plan.login.username, "UV_PUBLISH_PASSWORD": plan.login.password}
    elif variable := {"gitlab": "GITLAB_CI", "buildkite": "BUILDKITE"}.get(platform()):
        # By it uv knows where to look for the identity; the local GitLab runner says `false`.
        child[variable] = "true"
    if plan.target.check_url and not plan.forwarded:
        child["UV_PUBLISH_CHECK_URL"] = with_login(plan.target.check_url, plan.target.read_login)
    return child


def with_login(url: str, login: Login | None) -> str:
    """The URL with credentials in it: without them uv takes a 401 for "not there yet", whatever else it was given."""
    if not login:
        return url
    parts = urlsplit(url)
    pair = f"{quote(login.username, safe='')}:{quote(login.password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{pair}@{parts.netloc}"))


def wait_until_listed(plan: Plan, seconds: int) -> None:
    """Looks until the index lists what was uploaded: a login page answers an upload with status 200, too."""
    if not plan.target.check_url:
        return
    end = time.monotonic() + seconds
    while missing := sorted({file.name for file in plan.upload} - listed(plan)):
        if time.monotonic() + PAUSE > end:
            raise Failure(
                f"the upload was accepted, but after {seconds} s the index does not list {', '.join(missing)}",
                "check that `publish-url` and `check-url` belong together; run it again later: what has arrived is"
                " skipped",
                Exit.NETWORK,
            )
        time.sleep(PAUSE)


def listed(plan: Plan) -> set[str]:
    """What the index lists of the projects that were uploaded; nothing where it can't be read now."""
    try:
        return {name for project in projects(plan.upload) for name in read_index(plan.target, project) or {}}
    except Failure as failure:
        say(failure.message)
        return set()


# ---------------------------------------------------------------------------------------------------------------------
# Explain: what uv says -> what happened, why, and the mend


def explain(text: str, plan: Plan, uploaded_to: str) -> Failure:
    """The failure behind uv's own words, which are in the log already. `text` has single blanks: uv wraps its lines."""
    if "trusted publishing" in text and not plan.login:
        return explain_trusted_publishing(text, uploaded_to)
    status = status_in(text)
    said = f"status {status}{server_says(text)}"
    if "do not match for" in text or "Hash is missing in index" in text:
        found = re.search(r"do not match for `?(\S+?)`?\. (.*)", text)
        return other_content(found[1] if found else "a file", found[2] if found else "it gives no hash")
    if "POST requests are not supported" in text:
        return Failure(
            "`publish-url` takes no uploads; it looks like the address for installing",
            "give the upload address, which an index states apart from its simple API",
        )
    if status in (401, 403):
        return refused_upload(plan, said)
    if status == 409 or (status == 400 and re.search("already (exist|been taken)", text)):
        return Failure(
            f"the index already holds a file of that name ({said})",
            "give `check-url` (or `index`), so that what is there is skipped; for other content use a new version",
        )
    if status in (404, 408, 425, 429) or status >= 500:
        return Failure(
            f"the index does not take the upload ({said})",
            "check `publish-url`; run it again: with `check-url` or `index`, what has arrived is skipped",
            Exit.NETWORK,
        )
    if status:
        return Failure(f"the index refuses a file ({said})", "correct what it says, then build and publish again")
    last_cause = re.split(r" (?:cause|Caused by): ", text)[-1].strip()
    if re.search(r"error sending request|connect error|connection|timed out|Request failed", text, re.IGNORECASE):
        return Failure(
            f"the index can't be reached: {last_cause}",
            "check `publish-url`, proxy and certificates (SSL_CERT_FILE), then run it again",
            Exit.NETWORK,
        )
    return Failure(f"uv could not publish: {text.partition('error: ')[2] or text}", "correct what uv says")


def refused_upload(plan: Plan, said: str) -> Failure:
    if plan.login:
        cause = f"the index refuses the upload of user {plan.login.username!r} ({said})"
        mend = f"check `username` and `{password_option()}`, and that this user may upload this project"
    else:
        cause = f"trusted publishing gave a token, but the index refuses the upload with it ({said})"
        mend = "check that the publisher belongs to this very project"
    return Failure(cause, mend, Exit.UNAUTHORISED, "publish: not authorised")


def status_in(text: str) -> int:
    """The status that uv says a server has answered with, or 0."""
    found = re.search(r"(?:status code|error code|(?:client|server) error \() ?(\d{3})\b", text)
    return int(found[1]) if found else 0


def server_says(text: str) -> str:
    """The server's own first words, unless they are a page."""
    found = re.search(r"Server says: (.*)", text)
    words = found[1] if found else ""
    return f": {words[:300]}" if words and not words.startswith("<") else ""


def explain_trusted_publishing(text: str, uploaded_to: str) -> Failure:
    """Which of the steps of trusted publishing has failed: audience, identity, or the index's judgement of it."""
    status = status_in(text)
    host = urlsplit(uploaded_to).netloc or "the index"
    code = Exit.UNAUTHORISED if 400 <= status < 500 else Exit.NETWORK
    if "/_/oidc/audience" in text:
        why = f"status {status}" if status else "no usable answer"
        if status == 404:
            return Failure(
                f"{host} offers no trusted publishing: it does not know /_/oidc/audience (status 404)",
                f"give `{password_option()}`, or the `publish-url` of an index that has trusted publishing",
                code,
                "publish: audience",
            )
        return Failure(
            f"{host} does not tell for which audience it wants an identity token ({why} from /_/oidc/audience)",
            "check `publish-url`, proxy and certificates (SSL_CERT_FILE), then run it again",
            code,
            "publish: audience",
        )
    if "No OIDC token discovered" in text:
        return Failure(
            "trusted publishing needs a CI job with an identity, and this is none; no `password` was given either",
            "give `password` (with `username`, unless it is a token), or run it in a job that has an identity",
            Exit.USAGE,
            "publish: no identity",
        )
    if "error code" in text:
        return refused_claims(text, status, host, code)
    if missing := re.search(r"ID token variable not found: (\w+)", text):
        return no_id_token(missing[1], host)
    if "`buildkite-agent` CLI" in text:
        return no_agent_token(text)
    permission = f"check that the job has\n  {PERMISSION}\nthen" if on_github() else "look at what uv says, then"
    return Failure(
        f"no identity token could be had from the platform ({f'status {status}' if status else 'no answer'})",
        f"{permission} run it again",
        code,
        "publish: identity",
    )


def no_id_token(variable: str, host: str) -> Failure:
    """GitLab makes an identity token only where the job's `id_tokens` ask for it; uv takes that of a certain name."""
    audience = audience_of(host) or variable.removesuffix("_ID_TOKEN").lower()
    return Failure(
        f"this job has no identity token for {host}: the variable {variable} is not set, and no `password-env` was"
        " given either",
        f"add to the job\n  id_tokens:\n    {variable}:\n      aud: {audience}\nor give `password-env`",
        Exit.UNAUTHORISED,
        "publish: identity",
    )


def no_agent_token(text: str) -> Failure:
    """uv asks Buildkite's agent for the token, by its command line."""
    why = text.rpartition("`buildkite-agent` CLI cause: ")[2].strip() or "it says nothing"
    return Failure(
        f"`buildkite-agent oidc request-token` gave no identity token: {why}",
        "run the step where the agent's command line can be used (beside the docker plugin with"
        " `mount-buildkite-agent` and `propagate-environment`), or give `password-env`",
        Exit.UNAUTHORISED,
        "publish: identity",
    )


def refused_claims(text: str, status: int, host: str, code: Exit) -> Failure:
    """The index has seen this job's claims and minted no token."""
    errors = errors_in(text)
    said = "; ".join(": ".join(filter(None, (each.get("code"), each.get("description")))) for each in errors)
    claims = claims_of_this_job(host)
    lines = [f"{host} refuses this job's identity (status {status}{', ' + said if said else ''})"]
    if claims:
        names = CLAIMS[platform()]
        lines += ["its claims are:", *(f"  {name}: {claims.get(name) or '(none)'}" for name in names)]
    mend = mend_of_claims({each.get("code", "") for each in errors}, claims, host)
    return Failure("\n".join(lines), mend, code, "publish: claims refused")


def mend_of_claims(codes: set[str], claims: Mapping[str, str], host: str) -> str:
    """What to do so that the index takes these claims, or without it."""
    option = password_option()
    if codes & {"invalid-publisher", "invalid-pending-publisher"}:
        mend = f"register at {host}, for this project, a publisher with {publisher_for(claims)}"
        return (
            f"{mend}; or, if it has no publishers for Buildkite, give `{option}`" if "pipeline_slug" in claims else mend
        )
    if platform() == "gitlab" and claims.get("iss") not in (None, GITLAB_ISSUER):
        return (
            f"the identities of {claims['iss']} are worth something only where they are known, which on PyPI are those"
            f" of {GITLAB_ISSUER}: give `{option}`, or publish to this GitLab's own package registry with `publish-url`"
            " $CI_API_V4_URL/projects/$CI_PROJECT_ID/packages/pypi, `username` gitlab-ci-token and the password in"
            " CI_JOB_TOKEN"
        )
    audience = audience_of(host)
    if platform() == "gitlab" and audience and audience not in claims.get("aud", audience):
        return f"let `id_tokens` of this job say `aud: {audience}`, as {host} asks; it is {claims['aud']} now"
    if "invalid-token" in codes and platform() != "buildkite":
        return (
            f"the token was made for the audience {claims.get('aud', '?')!r}, as {host} asked: check that `publish-url`"
            " is right and that nothing between this runner and the index answers in its place; then run it again"
        )
    return f"do what {host} says, then run it again; or give `{option}`"


def publisher_for(claims: Mapping[str, str]) -> str:
    """What a publisher has to hold to fit these claims."""
    describe = {"gitlab": gitlab_publisher, "buildkite": buildkite_publisher}.get(platform(), github_publisher)
    return describe(claims) if claims else "exactly the claims that uv shows in the log"


def github_publisher(claims: Mapping[str, str]) -> str:
    """What fits a GitHub workflow; a reusable workflow is a trap of its own."""
    owner, _, repository = claims.get("repository", "").partition("/")
    called = claims.get("job_workflow_ref", "").partition("@")[0]
    text = as_publisher(
        {"owner": owner, "repository": repository, "workflow": called.rpartition("/")[2]}, claims.get("environment")
    )
    if called != claims.get("workflow_ref", called).partition("@")[0]:
        text += "; it runs in a reusable workflow, which most indexes don't accept: publish from the calling workflow"
    return text


def gitlab_publisher(claims: Mapping[str, str]) -> str:
    """What fits a GitLab pipeline: its own top-level file, whatever that includes."""
    namespace, _, project = claims.get("project_path", "").rpartition("/")
    file = claims.get("ci_config_ref_uri", "").partition("@")[0].partition("//")[2]
    text = as_publisher(
        {"namespace": namespace, "project": project, "top-level pipeline file": file or "(none)"},
        claims.get("environment"),
    )
    if not file:
        text += "; its configuration isn't a file of the project itself, which no publisher fits: put one there"
    return text


def buildkite_publisher(claims: Mapping[str, str]) -> str:
    return f"organization {claims.get('organization_slug')}, pipeline {claims.get('pipeline_slug')}"


def as_publisher(values: Mapping[str, str], environment: str | None) -> str:
    fields = {**values, "environment": environment or "(none: leave it empty)"}
    return ", ".join(f"{name} {value}" for name, value in fields.items())


def errors_in(text: str) -> list[dict[str, str]]:
    """The errors of an index's answer, as uv quotes it."""
    found = re.search(r"Response: (\{.*\})(?: Token claims|$)", text)
    try:
        return [dict(each) for each in json.loads(found[1])["errors"]] if found else []
    except (ValueError, KeyError, TypeError):
        return []


def claims_of_this_job(host: str) -> dict[str, str]:
    """What an identity token of this job says of it, or nothing where that can't be learnt. Prints no token."""
    try:
        token = IDENTITIES[platform()](audience_of(host))
        mask(token)
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return {name: str(value) for name, value in claims.items() if value is not None}
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, subprocess.SubprocessError):
        return {}


def audience_of(host: str) -> str:
    """For whom an index wants identity tokens to be made; empty if it doesn't say."""
    try:
        return str(json.loads(get(f"https://{host}/_/oidc/audience")[2])["audience"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def github_identity(audience: str) -> str:
    """The token that GitHub makes for a job with `id-token: write`."""
    address, bearer = (os.environ[f"ACTIONS_ID_TOKEN_REQUEST_{name}"] for name in ("URL", "TOKEN"))
    return json.loads(get(f"{address}&audience={quote(audience, safe='')}", f"bearer {bearer}")[2])["value"]


def gitlab_identity(audience: str) -> str:
    """The token that GitLab has put into the variable that uv reads."""
    return os.environ[re.sub(r"[^A-Z0-9]", "_", audience.upper()) + "_ID_TOKEN"]


def buildkite_identity(audience: str) -> str:
    """The token that Buildkite's agent asks for, as uv lets it."""
    command = ["buildkite-agent", "oidc", "request-token", "--audience", audience]
    asked = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", timeout=AGENT_SECONDS, check=True
    )
    return asked.stdout.strip()


# Where each platform's identity token comes from.
IDENTITIES = {"github": github_identity, "gitlab": gitlab_identity, "buildkite": buildkite_identity}


# ---------------------------------------------------------------------------------------------------------------------
# Tell


def page_of(plan: Plan, uploaded_to: str) -> str:
    """Where a person sees the release: the project's page, else what the simple API lists; "" for several projects.

    An upload address with the path `/legacy/` is Warehouse's, which has its pages on the same host, but for `upload.`.
    """
    releases = {(file.project, file.version) for file in plan.files}
    names = projects(plan.files)
    parts = urlsplit(uploaded_to)
    if len(names) != 1:
        return ""
    if parts.path == "/legacy/":
        version = f"{next(iter(releases))[1]}/" if len(releases) == 1 else ""
        return f"{parts.scheme}://{parts.netloc.removeprefix('upload.')}/project/{names[0]}/{version}"
    return urljoin(plan.target.check_url, f"{names[0]}/") if plan.target.check_url else ""


def tell(plan: Plan, page: str, dry_run: bool) -> None:
    """The outputs, a line for the log and a table for the summary."""
    set_outputs({"published": 0 if dry_run else len(plan.upload), "skipped": len(plan.skip), "url": page})
    done, skipped = ("would publish", "would skip") if dry_run else ("published", "skipped")
    say(f"{done} {len(plan.upload)}, {skipped} {len(plan.skip)}{': ' + page if page else ''}")
    for file in plan.files:
        say(f"  {file.name}  {done if file in plan.upload else skipped + ', it is there'}")
    if has_summary():
        add_summary(as_markdown(plan, page, done, skipped))


def has_summary() -> bool:
    """Whether there is a place for Markdown; elsewhere the log has told it already."""
    return platform() in ("github", "buildkite") or bool(os.environ.get("UV_ACTIONS_SUMMARY"))


def as_markdown(plan: Plan, page: str, done: str, skipped: str) -> str:
    way = f"user `{plan.login.username}`" if plan.login else "trusted publishing"
    rows = [
        f"| `{file.name}` | {file.size:,} | `{file.sha256[:12]}` "
        f"| {(done if file in plan.upload else skipped + ': already there')}"
        f"{', with attestation' if file.attestations and file in plan.upload else ''} |"
        for file in plan.files
    ]
    return "\n".join(
        [
            f"### Publish: {done} {len(plan.upload)}, {skipped} {len(plan.skip)}",
            "",
            "| File | Bytes | sha256 | Result |",
            "| --- | ---: | --- | --- |",
            *rows,
            "",
            f"By {way}.{f' {page}' if page else ''}",
        ]
    )


def failure_as_markdown(failure: Failure) -> str:
    text = f"{failure.message}\n\nTo mend it: {failure.mend}".replace("```", "'''")
    return f"### Publish failed\n\n```text\n{text}\n```"


if __name__ == "__main__":
    run_main(main)
