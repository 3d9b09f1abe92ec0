"""The package registry of a GitLab project on loopback: the package index of the tests under GitLab's addresses.

What differs from any other index is here as GitLab has it (lib/api/pypi_packages.rb): a project that the registry
doesn't hold is looked for on the public index, to which the answer points; the same file again is status 400.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any, Self

from services.index import Index, serve

USERNAME = "gitlab-ci-token"
TOKEN = "glcbt-64_s3cret"
PROJECT = "/projects/7/packages/pypi"
# GitLab's setting `pypi_package_requests_forwarding` is on by default.
PUBLIC = "/public/simple/"


class Registry:
    """The registry of project 7, which a job logs in to with CI_JOB_TOKEN; `index` holds what it holds.

    `public` is what the public index says of every project, as a page of the simple API; `strangers` are the
    Authorization headers that were sent there.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        index.username, index.password = USERNAME, TOKEN
        self.public = ""
        self.strangers: list[str] = []
        self._root = ""

    def __enter__(self) -> Self:
        self._exit = contextlib.ExitStack()
        self._root = self._exit.enter_context(serve(self.app))
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    @property
    def api(self) -> str:
        """GitLab's CI_API_V4_URL."""
        return f"{self._root}/api/v4"

    @property
    def publish_url(self) -> str:
        return f"{self.api}{PROJECT}"

    @property
    def check_url(self) -> str:
        return f"{self.api}{PROJECT}/simple"

    def app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI application."""
        path = environ["PATH_INFO"]
        if path.startswith(PUBLIC):
            self.strangers += filter(None, [environ.get("HTTP_AUTHORIZATION")])
            return _answer(start_response, "200 OK", self.public, ("Content-Type", "text/html"))
        prefix = f"/api/v4{PROJECT}"
        if not path.startswith(prefix):
            return _answer(start_response, "404 Not Found", '{"message":"404 Not Found"}')
        inner: list[str] = []
        environ["PATH_INFO"] = path.removeprefix(prefix) or "/"
        body = b"".join(
            self.index.app(environ, lambda status, headers: inner.extend([status, *dict(headers).values()]))
        )
        match inner[0].split()[0]:
            case "404" if environ["REQUEST_METHOD"] == "GET":
                # Another host than the registry's own 127.0.0.1.
                public = self._root.replace("127.0.0.1", "localhost")
                location = f"{public}{PUBLIC}{path.removeprefix(f'{prefix}/simple/')}"
                return _answer(start_response, "302 Found", "", ("Location", location))
            case "409":
                message = '{"message":"400 Bad request - Validation failed: File name has already been taken"}'
                return _answer(start_response, "400 Bad Request", message)
            case "403":
                return _answer(start_response, "401 Unauthorized", '{"message":"401 Unauthorized"}')
            case "200" if environ["REQUEST_METHOD"] == "POST":
                return _answer(start_response, "201 Created", '{"message":"201 Created"}')
        return _answer(start_response, inner[0], body, ("Content-Type", "text/html"))


def _answer(
    start_response: Callable[..., Any], status: str, body: str | bytes, *headers: tuple[str, str]
) -> list[bytes]:
    data = body.encode() if isinstance(body, str) else body
    start_response(status, [*headers, ("Content-Length", str(len(data)))])
    return [data]
