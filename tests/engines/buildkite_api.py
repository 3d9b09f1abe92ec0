"""A stand-in for the API that a Buildkite agent speaks with, on loopback. It is not Buildkite's.

It answers what the commands `annotate`, `meta-data`, `artifact`, `oidc` and `pipeline upload` of the agent ask, in the
forms of the agent's own client (buildkite/agent v3.137.0, `api/*.go`), and remembers what it was told:

    with AgentApi(folder) as api:
        build = api.new_build()
        job = api.new_job(build, step="test")

What a server of Buildkite would check is not: sizes, permissions, the form of names.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import parse_qs, unquote

from services.index import serve

TOKEN = "agent-access-token-of-this-job"

Answer = tuple[int, object]


@dataclass
class Annotation:
    """A box on a build's page; `body` is Markdown."""

    context: str
    style: str
    body: str


@dataclass
class Artifact:
    """A file that a job has uploaded; `data` is None until it has come."""

    identifier: str
    path: str
    job: str
    description: dict[str, Any]
    data: bytes | None = None
    finished: bool = False


@dataclass
class Build:
    """What Buildkite keeps of a build."""

    identifier: str
    annotations: dict[str, Annotation] = field(default_factory=dict)  # by context
    meta_data: dict[str, str] = field(default_factory=dict)
    artifacts: list[Artifact] = field(default_factory=list)
    uploaded: list[Any] = field(default_factory=list)  # pipelines that jobs have added


class AgentApi:
    """The stand-in. `oidc` makes an identity token out of a request's body; without it none is given."""

    def __init__(self) -> None:
        self.builds: dict[str, Build] = {}
        self.oidc: Callable[[dict[str, Any]], str] | None = None
        self.requests: list[str] = []  # method and path
        self._jobs: dict[str, tuple[Build, str]] = {}  # id -> its build and the key of its step
        self._faults: dict[str, int] = {}
        self._lock = threading.Lock()
        self._root = ""

    def __enter__(self) -> Self:
        self._exit = contextlib.ExitStack()
        self._root = self._exit.enter_context(serve(self.app))
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    @property
    def url(self) -> str:
        return self._root

    def new_build(self) -> Build:
        build = Build(str(uuid.uuid4()))
        self.builds[build.identifier] = build
        return build

    def new_job(self, build: Build, step: str = "") -> str:
        """The id of a new job; `step` is the key of its step."""
        job = str(uuid.uuid4())
        self._jobs[job] = (build, step)
        return job

    def fail(self, pattern: str, status: int) -> None:
        """Answers all requests whose path fits the glob `pattern` with a status."""
        self._faults[pattern] = status

    def app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI application."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        with self._lock:
            status, answer = self._answer(environ, body)
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        kind = "application/octet-stream" if isinstance(answer, bytes) else "application/json"
        headers = [("Content-Type", kind), ("Content-Length", str(len(data)))]
        start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        return [data]

    def _answer(self, environ: dict[str, Any], body: bytes) -> Answer:
        method, path = environ["REQUEST_METHOD"], unquote(environ["PATH_INFO"])
        self.requests.append(f"{method} {path}")
        for pattern, status in self._faults.items():
            if fnmatch.fnmatchcase(path, pattern):
                return status, {"message": "the stand-in was told to answer so"}
        match path.strip("/").split("/"):
            # These two have no header: what a job uploads to, and downloads from, is a signed URL.
            case ["uploads", batch]:
                return self._take_file(batch, environ["CONTENT_TYPE"], body)
            case ["downloads", identifier]:
                return self._give_file(identifier)
        if environ.get("HTTP_AUTHORIZATION") != f"Token {TOKEN}":
            return 401, {"message": "no valid token"}
        document = json.loads(body) if body else {}
        match method, *path.strip("/").split("/"):
            case "POST", "jobs", job, "annotations":
                return self._annotate(self._jobs[job][0], document)
            case _, "jobs" | "builds" as scope, identifier, "data", action:
                build = self._jobs[identifier][0] if scope == "jobs" else self.builds[identifier]
                return self._meta_data(build, action, document)
            case "POST", "jobs", job, "artifacts":
                return self._create_artifacts(job, document)
            case "PUT", "jobs", _, "artifacts":
                return self._finish_artifacts(document)
            case "GET", "builds", build, "artifacts", "search":
                return self._search(self.builds[build], parse_qs(environ["QUERY_STRING"]))
            case "POST", "jobs", _, "oidc", "tokens":
                if not self.oidc:
                    return 422, {"message": "this stand-in has no issuer"}
                return 200, {"token": self.oidc(document)}
            case "POST", "jobs", job, "pipelines":
                self._jobs[job][0].uploaded.append(document["pipeline"])
                return 200, {}
            case "GET", "jobs", _, "pipelines", _:
                return 200, {"state": "applied", "message": ""}
        return 404, {"message": f"the stand-in doesn't know {method} {path}"}

    def _annotate(self, build: Build, document: dict[str, Any]) -> Answer:
        context = document.get("context") or "default"
        known = build.annotations.get(context)
        if known and document.get("append"):
            known.body += document.get("body", "")
            known.style = document.get("style") or known.style
        else:
            style = document.get("style") or "default"
            build.annotations[context] = Annotation(context, style, document.get("body", ""))
        return 201, {}

    def _meta_data(self, build: Build, action: str, document: Any) -> Answer:
        known = build.meta_data
        match action:
            case "set":
                known[document["key"]] = document["value"]
                return 200, {}
            case "set-batch":
                known.update({item["key"]: item["value"] for item in document["items"]})
                return 200, {}
            case "get" if document["key"] in known:
                return 200, {"key": document["key"], "value": known[document["key"]]}
            case "get":
                return 404, {"message": "no such key"}
            case "exists":
                return 200, {"exists": document["key"] in known}
            case "keys":
                return 200, sorted(known)
        return 404, {"message": f"no action {action}"}

    def _create_artifacts(self, job: str, document: dict[str, Any]) -> Answer:
        created = [Artifact(str(uuid.uuid4()), each["path"], job, each) for each in document["artifacts"]]
        self._jobs[job][0].artifacts += created
        # A batch shares its instructions, and the path in the form tells which file it is.
        action = {"url": self.url, "method": "POST", "path": f"/uploads/{job}", "file_input": "file"}
        instructions = {"action": action, "data": {"path": "${artifact:path}"}}
        identifiers = [each.identifier for each in created]
        return 201, {"id": document["id"], "artifact_ids": identifiers, "upload_instructions": instructions}

    def _take_file(self, job: str, content_type: str, body: bytes) -> Answer:
        form = _form(content_type, body)
        path = form["path"].decode()
        waiting = [each for each in self._jobs[job][0].artifacts if (each.job, each.path) == (job, path)]
        waiting[-1].data = form["file"]
        return 200, {}

    def _finish_artifacts(self, document: dict[str, Any]) -> Answer:
        states = {each["id"]: each["state"] for each in document["artifacts"]}
        for artifact in self._artifacts():
            if artifact.identifier in states:
                artifact.finished = states[artifact.identifier] == "finished" and artifact.data is not None
        return 200, {}

    def _search(self, build: Build, query: dict[str, list[str]]) -> Answer:
        """The newest file of each path; `scope` is a job's id or a step's key."""
        pattern, scope = query.get("query", ["*"])[0], query.get("scope", [""])[0]
        found = {}
        for artifact in build.artifacts:
            in_scope = not scope or scope in (artifact.job, self._jobs[artifact.job][1])
            if artifact.finished and in_scope and fnmatch.fnmatchcase(artifact.path, pattern):
                url = f"{self.url}/downloads/{artifact.identifier}"
                found[artifact.path] = {**artifact.description, "id": artifact.identifier, "url": url}
        return 200, list(found.values())

    def _give_file(self, identifier: str) -> Answer:
        found = next((each.data for each in self._artifacts() if each.identifier == identifier), None)
        return (200, found) if found is not None else (404, {"message": "no such artifact"})

    def _artifacts(self) -> list[Artifact]:
        return [artifact for build in self.builds.values() for artifact in build.artifacts]


def sha256_of(artifact: Artifact) -> str:
    return hashlib.sha256(artifact.data or b"").hexdigest()


def _form(content_type: str, body: bytes) -> dict[str, bytes]:
    """The parts of a form by their names (RFC 7578). Each part is a head, an empty line and the content."""
    boundary = re.search(r"boundary=\"?([^\";]+)", content_type)
    if not boundary:
        raise ValueError(f"no form: {content_type}")
    form = {}
    for part in body.split(b"--" + boundary[1].encode())[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'\bname="([^"]*)"', head)
        if name:
            form[name[1].decode()] = content.removesuffix(b"\r\n")
    return form
