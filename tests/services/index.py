"""A real package index with a password, on loopback: pypiserver behind cheroot, with faults on demand.

The index is a plain context manager, for tests and for `tests/demo` alike:

    with Index(folder) as index:
        index.add(wheel)
        print(index.url, index.upload_url)
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import email
import email.policy
import fnmatch
import io
import logging
import re
import shutil
import threading
from collections.abc import Callable, Generator, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import pypiserver
from cheroot import wsgi
from cheroot.ssl.builtin import BuiltinSSLAdapter

USERNAME = "ci"
PASSWORD = "s3cret"

# pypiserver warns of each refused upload on stderr, where it would stand among the output of a test or of the demo.
logging.getLogger("pypiserver").setLevel(logging.ERROR)

# What a WSGI application is: (environ, start_response) -> parts of the body.
App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@contextlib.contextmanager
def serve(app: App, certificate: tuple[Path, Path] | None = None) -> Generator[str]:
    """Serves `app` on a free port of 127.0.0.1 and yields its root URL; `certificate` (chain, key) makes it https."""
    server = wsgi.Server(("127.0.0.1", 0), app, numthreads=8, timeout=60, shutdown_timeout=1)
    if certificate:
        server.ssl_adapter = BuiltinSSLAdapter(*map(str, certificate))
    # A client that refuses the certificate, or goes away, is what some tests are about: no traceback for it.
    server.error_log = lambda *_, **__: None
    server.prepare()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.bind_addr[1]}"
    finally:
        server.stop()
        thread.join(timeout=10)


class Request(NamedTuple):
    """One request that a server has answered."""

    method: str
    path: str
    status: int


class Upload(NamedTuple):
    """One upload that the index has accepted."""

    username: str
    filename: str
    attestations: str  # the JSON array that came along, or ""


# How a request can go wrong, beside a status code.
Fault = int | Literal["cut", "html", "wrong-hash", "hang"]


@dataclasses.dataclass
class _Rule:
    pattern: str
    fault: Fault
    times: int | None


@dataclasses.dataclass
class _Answer:
    status: str
    headers: dict[str, str]
    body: bytes


class Index:
    """An index that asks for a password, keeps its files in `packages`, remembers requests and fails when told to.

    A missing password is answered with 401, a wrong one with 403, as pypiserver does.
    """

    def __init__(self, folder: Path) -> None:
        self.packages = folder / "packages"
        self.packages.mkdir(parents=True, exist_ok=True)
        self.username, self.password = USERNAME, PASSWORD
        # Tokens that upload as `__token__`; the trusted-publishing service mints them.
        self.tokens: set[str] = set()
        self.requests: list[Request] = []
        self.uploads: list[Upload] = []
        # What stands in the body of an answer with a status on demand.
        self.refusal = "the index was told to answer so"
        self._rules: list[_Rule] = []
        self._stopping = threading.Event()
        self._root = ""
        # pypiserver has no type for it; each call makes an application of its own.
        self._server: Any = pypiserver.app(
            roots=[self.packages],
            authenticate=["update", "list", "download"],
            auther=self._knows,
            password_file=None,
            disable_fallback=True,
            backend_arg="simple-dir",
        )

    def __enter__(self) -> Self:
        self._exit = contextlib.ExitStack()
        self._root = self._exit.enter_context(serve(self.app))
        return self

    def __exit__(self, *_: object) -> None:
        # First let the hanging requests go: the server waits for its threads.
        self._stopping.set()
        self._exit.close()

    @property
    def url(self) -> str:
        """The simple API, for `--index` and `--check-url`."""
        return f"{self._root}/simple/"

    @property
    def upload_url(self) -> str:
        """Where to upload, for `--publish-url`."""
        return f"{self._root}/"

    @property
    def require_auth(self) -> bool:
        """Whether reading asks for the password too; uploading always does."""
        return "list" in self._server._pypiserver_config.authenticate

    @require_auth.setter
    def require_auth(self, wanted: bool) -> None:
        self._server._pypiserver_config.authenticate = ["update", "list", "download"] if wanted else ["update"]

    def add(self, file: Path) -> Path:
        """Puts a distribution into the index, as an earlier upload would have."""
        return Path(shutil.copy(file, self.packages))

    def files(self) -> list[str]:
        """The names of what the index holds."""
        return sorted(path.name for path in self.packages.iterdir())

    def fail(self, pattern: str, fault: Fault, times: int | None = None) -> None:
        """Answers what matches with a fault from now on, or only the next `times` times.

        `pattern` is a glob on the path (`/simple/app/`, `/packages/*.whl`), or on `METHOD path` (`POST /`). `cut`
        ends the connection in the middle of the body, `html` is a login page with status 200, `wrong-hash` alters a
        file's last byte or a page's hashes, `hang` doesn't answer while the server lives. The newest rule wins.
        """
        self._rules.insert(0, _Rule(pattern, fault, times))

    def heal(self) -> None:
        """Forgets all faults."""
        self._rules.clear()

    def app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI application: pypiserver, with the faults in front and the log behind."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        fault = self._fault_for(method, path)
        if fault == "hang":
            self._stopping.wait()
        if isinstance(fault, int) or fault in ("html", "hang"):
            answer = self._refusal(fault)
        else:
            # HEAD tells the length of the body that GET would send.
            answer = self._ask({**environ, "REQUEST_METHOD": "GET"} if method == "HEAD" else environ)
            if method == "POST" and answer.status.startswith("200"):
                self.uploads.append(_as_upload(environ))
        if fault == "wrong-hash":
            answer.body = _altered(answer)
        answer.headers["Content-Length"] = str(len(answer.body))
        if fault == "cut":
            # Otherwise the server would keep the connection, and the client would wait for the rest.
            answer.headers["Connection"] = "close"
            answer.body = answer.body[: len(answer.body) // 2]
        self.requests.append(Request(method, path, int(answer.status.split()[0])))
        start_response(answer.status, list(answer.headers.items()))
        return [b"" if method == "HEAD" else answer.body]

    def _ask(self, environ: dict[str, Any]) -> _Answer:
        """pypiserver's own answer, whole. The request's body can be read again afterwards."""
        environ["wsgi.input"] = io.BytesIO(_body_of(environ))
        answer = _Answer("500 no answer", {}, b"")

        def start(status: str, headers: list[tuple[str, str]], _error: object = None) -> None:
            answer.status, answer.headers = status, dict(headers)

        parts = self._server(environ, start)
        answer.body = b"".join(parts)
        if close := getattr(parts, "close", None):
            close()
        environ["wsgi.input"].seek(0)
        return answer

    def _refusal(self, fault: int | str) -> _Answer:
        """What stands in for pypiserver's own answer."""
        if isinstance(fault, int):
            headers = {"Content-Type": "text/plain"}
            if fault == HTTPStatus.UNAUTHORIZED:
                headers["WWW-Authenticate"] = 'Basic realm="index"'
            return _Answer(f"{fault} {HTTPStatus(fault).phrase}", headers, self.refusal.encode())
        page = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>"
        return _Answer("200 OK", {"Content-Type": "text/html"}, page)

    def _knows(self, username: str, password: str) -> bool:
        return (username, password) == (self.username, self.password) or (
            username == "__token__" and password in self.tokens
        )

    def _fault_for(self, method: str, path: str) -> Fault | None:
        for rule in self._rules:
            if rule.times != 0 and (
                fnmatch.fnmatchcase(path, rule.pattern) or fnmatch.fnmatchcase(f"{method} {path}", rule.pattern)
            ):
                if rule.times is not None:
                    rule.times -= 1
                return rule.fault
        return None


def _body_of(environ: dict[str, Any]) -> bytes:
    """The request's body, whether it came with its length or in chunks."""
    if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", ""):
        body = environ["wsgi.input"].read()
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING")
        return body
    return environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))


def _altered(answer: _Answer) -> bytes:
    """The same body with hashes that don't fit it: other ones in a page, a comment in a wheel, another last byte."""
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        return re.sub(rb"sha256=[0-9a-f]{64}", b"sha256=" + b"0" * 64, answer.body)
    if answer.body.endswith(b"\0\0") and answer.body.startswith(b"PK"):
        # Still a good archive, so that the hash alone can tell.
        return answer.body[:-2] + b"\1\0!"
    return answer.body[:-1] + bytes([answer.body[-1] ^ 1]) if answer.body else answer.body


def _as_upload(environ: dict[str, Any]) -> Upload:
    """Who uploaded what, from the form that the index has accepted."""
    username = base64.b64decode(environ["HTTP_AUTHORIZATION"].removeprefix("Basic ")).decode().partition(":")[0]
    head = f"Content-Type: {environ['CONTENT_TYPE']}\r\n\r\n".encode()
    form = email.message_from_bytes(head + environ["wsgi.input"].read(), policy=email.policy.HTTP)
    filename = attestations = ""
    for part in form.iter_parts():
        match part.get_param("name", header="content-disposition"):
            case "content":
                filename = part.get_filename() or ""
            case "attestations":
                attestations = part.get_content().strip()
    return Upload(username, filename, attestations)
