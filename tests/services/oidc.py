"""Trusted publishing on loopback: an identity issuer like GitHub's or GitLab's, and an index that mints upload tokens.

Both are one https server, since uv asks an index's trusted-publishing endpoints by https only:

    with Index(folder) as index, Oidc(folder, index) as oidc:
        subprocess.run(["uv", "publish", "--publish-url", oidc.publish_url], env=os.environ | oidc.env)

Endpoints and errors are those in PyPI's documentation ("Trusted publishers": internals, troubleshooting), the claims
those of https://docs.github.com/actions/reference/security/oidc, https://docs.gitlab.com/ci/secrets/id_token_authentication
and https://buildkite.com/docs/agent/cli/reference/oidc.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import ssl
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import parse_qs

import jwt
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa

from services.index import Index, Request, serve

AUDIENCE = "test-index"

# What the index says of a token that it doesn't take, by the code it answers with.
REFUSALS = {
    "not-enabled": "trusted publishing is not enabled for this index",
    "invalid-token": "malformed JWT",
    "invalid-publisher": "valid token, but no corresponding publisher (Publisher with matching claims was not found)",
    "invalid-pending-publisher": "valid token, but project already exists",
    "invalid-reuse-token": "invalid token: already used",
}

Step = Literal["issuer", "audience", "mint"]


@functools.cache
def _signing_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Oidc:
    """The issuer and the trusted-publishing endpoints, in front of an index's own upload and simple API.

    `claims` are what the issuer puts into a token, `publisher` what the index's owner registered: a token is minted
    only for claims that fit. `env` is what a job with `id-token: write` sees, and the trust in this server.
    """

    def __init__(self, folder: Path, index: Index) -> None:
        self.index = index
        self.minted: list[str] = []
        self.burned: list[str] = []
        self.requests: list[Request] = []
        self.publisher = {"repository": "acme/app", "workflow": "release.yml", "environment": ""}
        self.claims: dict[str, str] = {
            "sub": "repo:acme/app:ref:refs/tags/v0.1.0",
            "ref": "refs/tags/v0.1.0",
            "ref_type": "tag",
            "ref_protected": "false",
            "sha": "0123456789abcdef0123456789abcdef01234567",
            "repository": "acme/app",
            "repository_id": "271828182",
            "repository_owner": "acme",
            "repository_owner_id": "31415926",
            "repository_visibility": "private",
            "run_id": "16180339887",
            "run_number": "7",
            "run_attempt": "1",
            "actor": "octocat",
            "actor_id": "583231",
            "workflow": "release",
            "workflow_ref": "acme/app/.github/workflows/release.yml@refs/tags/v0.1.0",
            "workflow_sha": "0123456789abcdef0123456789abcdef01234567",
            "job_workflow_ref": "acme/app/.github/workflows/release.yml@refs/tags/v0.1.0",
            "job_workflow_sha": "0123456789abcdef0123456789abcdef01234567",
            "event_name": "push",
            "head_ref": "",
            "base_ref": "",
            "runner_environment": "github-hosted",
        }
        self.gitlab_claims: dict[str, str] = {
            "sub": "project_path:acme/app:ref_type:tag:ref:v0.1.0",
            "namespace_path": "acme",
            "project_path": "acme/app",
            "project_id": "271828182",
            "ref": "v0.1.0",
            "ref_type": "tag",
            "ref_protected": "true",
            "pipeline_source": "push",
            "ci_config_ref_uri": "gitlab.acme.example/acme/app//release.yml@refs/tags/v0.1.0",
        }
        self.buildkite_claims: dict[str, str] = {
            "sub": "organization:acme:pipeline:app:ref:refs/tags/v0.1.0:commit:0123456:step:publish",
            "organization_slug": "acme",
            "pipeline_slug": "app",
            "build_branch": "main",
            "build_tag": "v0.1.0",
            "step_key": "publish",
        }
        self.ca_file = folder / "trusted.pem"
        self._folder = folder
        self._bearer = secrets.token_urlsafe(24)
        self._refusals: dict[Step, int | str] = {}
        self._used: set[str] = set()
        self._root = ""

    def __enter__(self) -> Self:
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        chain, key = self._folder / "server.pem", self._folder / "server.key"
        key.touch(mode=0o600)
        certificate.private_key_pem.write_to_path(str(key))
        for place, blob in enumerate(certificate.cert_chain_pems):
            blob.write_to_path(str(chain), append=place > 0)
        # SSL_CERT_FILE replaces the machine's own authorities; a job that is given it still has to reach the world.
        self.ca_file.write_bytes(_authorities_of_the_machine() + authority.cert_pem.bytes())
        self._exit = contextlib.ExitStack()
        self._root = self._exit.enter_context(serve(self.app, (chain, key)))
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    @property
    def publish_url(self) -> str:
        """Where to upload."""
        return f"{self._root}/"

    @property
    def url(self) -> str:
        """The simple API of the same index."""
        return f"{self._root}/simple/"

    @property
    def env(self) -> dict[str, str]:
        """What a job with `id-token: write` sees, and the certificate authority to trust."""
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self._root}/issuer/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self._bearer,
            **self.trust,
        }

    @property
    def gitlab_env(self) -> dict[str, str]:
        """What a GitLab job with `id_tokens` sees: a token in a variable named by its audience."""
        token = self.signed(self.gitlab_claims, AUDIENCE)
        return {f"{AUDIENCE.upper().replace('-', '_')}_ID_TOKEN": token, **self.trust}

    @property
    def trust(self) -> dict[str, str]:
        """Only the certificate authority: what a job without `id-token: write` sees."""
        return {"SSL_CERT_FILE": str(self.ca_file)}

    def refuse(self, step: Step, how: int | str) -> None:
        """Makes one step fail: with a status; the `audience` also with `wrong`, `mint` also with a code of REFUSALS."""
        self._refusals[step] = how

    def app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI application: our endpoints, and the index for every other path."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        endpoint = {
            ("GET", "/issuer/token"): self._identity,
            ("GET", "/_/oidc/audience"): self._audience,
            ("POST", "/_/oidc/mint-token"): self._mint,
            ("POST", "/_/oidc/burn-token"): self._burn,
        }.get((method, path))
        if not endpoint:
            return self.index.app(environ, start_response)
        status, document = endpoint(environ)
        self.requests.append(Request(method, path, status))
        body = json.dumps(document).encode() if document is not None else b""
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        return [body]

    def _identity(self, environ: dict[str, Any]) -> tuple[int, object]:
        """GitHub's side: a signed token with the job's claims, for who has the job's bearer."""
        refusal = self._refusals.get("issuer")
        if isinstance(refusal, int):
            return refusal, {"message": "the issuer was told to answer so"}
        if environ.get("HTTP_AUTHORIZATION", "").lower() != f"bearer {self._bearer}".lower():
            return 401, {"message": "no valid bearer"}
        audience = parse_qs(environ["QUERY_STRING"]).get("audience", ["https://github.com/acme"])[0]
        token = self.signed(self.claims, audience)
        return 200, {"count": len(token), "value": token}

    def signed(self, claims: dict[str, str], audience: str = AUDIENCE) -> str:
        """A token of this issuer with these claims, as a platform hands it to a job."""
        now = int(time.time())
        standard = {"iss": f"{self._root}/issuer", "aud": audience, "jti": secrets.token_hex(16)}
        times = {"iat": now, "nbf": now - 600, "exp": now + 300}
        return jwt.encode({**claims, **standard, **times}, _signing_key(), algorithm="RS256", headers={"kid": "test"})

    def _audience(self, _environ: dict[str, Any]) -> tuple[int, object]:
        refusal = self._refusals.get("audience")
        if isinstance(refusal, int):
            return refusal, {"message": "the index was told to answer so"}
        return 200, {"audience": "another-index" if refusal == "wrong" else AUDIENCE}

    def _mint(self, environ: dict[str, Any]) -> tuple[int, object]:
        """The index's side: checks signature, audience and claims, then mints a token that uploads."""
        refusal = self._refusals.get("mint")
        if isinstance(refusal, int):
            return refusal, {"message": "the index was told to answer so"}
        if refusal:
            return _token_refused(refusal)
        try:
            document = json.loads(_read(environ))
            claims = jwt.decode(
                document["token"],
                _signing_key().public_key(),
                algorithms=["RS256"],
                audience=AUDIENCE,
                issuer=f"{self._root}/issuer",
            )
        except (ValueError, KeyError, jwt.InvalidTokenError):
            return _token_refused("invalid-token")
        if claims["jti"] in self._used:
            return _token_refused("invalid-reuse-token")
        config = claims.get("job_workflow_ref") or claims.get("ci_config_ref_uri", "")
        pipeline = f"{claims.get('organization_slug')}/{claims.get('pipeline_slug')}"
        given = {
            "repository": claims.get("repository") or claims.get("project_path") or pipeline,
            "workflow": config.partition("@")[0].rpartition("/")[2],
            "environment": claims.get("environment", ""),
        }
        # A publisher without an environment takes every one.
        wanted = {name: value or given[name] for name, value in self.publisher.items()}
        if given != wanted:
            return _token_refused("invalid-publisher")
        self._used.add(claims["jti"])
        token = f"pypi-{secrets.token_urlsafe(48)}"
        self.minted.append(token)
        self.index.tokens.add(token)
        return 200, {"success": True, "token": token, "expires": int(time.time()) + 900}

    def _burn(self, environ: dict[str, Any]) -> tuple[int, object]:
        """Makes a minted token worthless."""
        try:
            token = json.loads(_read(environ))["token"]
        except (ValueError, KeyError):
            token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")[2]
        if token not in self.index.tokens:
            return _token_refused("invalid-token")
        self.index.tokens.discard(token)
        self.burned.append(token)
        return 200, {"success": True}


def _token_refused(code: str) -> tuple[int, object]:
    errors = [{"code": code, "description": REFUSALS[code]}]
    return 422, {"message": "Token request failed", "errors": errors}


def _read(environ: dict[str, Any]) -> bytes:
    return environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))


def _authorities_of_the_machine() -> bytes:
    """The certificates that this machine trusts, as PEM."""
    file = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    return Path(file).read_bytes() + b"\n" if file and Path(file).is_file() else b""
