"""The services are what they say: each fault is one, the password is asked for, a burned token is worthless."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import jwt
import pytest
from distributions import wheel
from services.index import PASSWORD, USERNAME, Index, Request
from services.oidc import AUDIENCE, Oidc

NO_PROXY = urllib.request.ProxyHandler({})


def get(url: str, authorization: str | None = None, timeout: float = 10, authorities: Path | None = None) -> bytes:
    """The body of an answer; asked with the index's password unless another authorization is given."""
    basic = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
    request = urllib.request.Request(url, headers={"Authorization": basic if authorization is None else authorization})
    context = ssl.create_default_context(cafile=authorities)
    opener = urllib.request.build_opener(NO_PROXY, urllib.request.HTTPSHandler(context=context))
    return opener.open(request, timeout=timeout).read()


def status_of(url: str, authorization: str | None = None, authorities: Path | None = None) -> int:
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(url, authorization, authorities=authorities)
    return caught.value.code


def publish(file: Path, oidc: Oidc) -> subprocess.CompletedProcess[str]:
    options = ["--no-config", "--trusted-publishing", "always", "--publish-url", oidc.publish_url]
    environment = {**os.environ, **oidc.env, "GITHUB_ACTIONS": "true"}
    command = ["uv", "publish", *options, file]
    return subprocess.run(command, env=environment, cwd=file.parent, capture_output=True, text=True, check=False)


def test_reading_asks_for_the_password(index: Index, tmp_path: Path) -> None:
    file = index.add(wheel(tmp_path))
    page = get(f"{index.url}app/").decode()
    assert file.name in page
    assert hashlib.sha256(file.read_bytes()).hexdigest() in page
    assert status_of(f"{index.url}app/", "") == 401
    assert status_of(f"{index.url}app/", "Basic Y2k6d3Jvbmc=") == 403
    index.require_auth = False
    assert get(f"{index.url}app/", "").decode() == page
    assert index.requests[-1] == Request("GET", "/simple/app/", 200)


def test_a_file_tells_its_length_before_it_is_fetched(index: Index, tmp_path: Path) -> None:
    """uv asks so, and then for the pieces of a wheel that it needs."""
    file = index.add(wheel(tmp_path))
    index.require_auth = False
    request = urllib.request.Request(f"{index.upload_url}packages/{file.name}", method="HEAD")
    with urllib.request.build_opener(NO_PROXY).open(request, timeout=10) as answer:
        assert int(answer.headers["Content-Length"]) == file.stat().st_size


def test_what_is_not_there_is_404_and_asks_no_other_index(index: Index) -> None:
    assert status_of(f"{index.url}app/") == 404


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_status_on_demand(index: Index, tmp_path: Path, status: int) -> None:
    index.add(wheel(tmp_path))
    index.fail("/simple/app/", status, times=1)
    assert status_of(f"{index.url}app/") == status
    assert b"app-0.1.0" in get(f"{index.url}app/")


def test_html_instead_of_a_file(index: Index, tmp_path: Path) -> None:
    file = index.add(wheel(tmp_path))
    index.fail("*.whl", "html")
    assert b"Please sign in" in get(f"{index.upload_url}packages/{file.name}")


def test_a_download_is_cut_in_the_middle(index: Index, tmp_path: Path) -> None:
    file = index.add(wheel(tmp_path))
    index.fail("*.whl", "cut")
    with pytest.raises(http.client.IncompleteRead) as caught:
        get(f"{index.upload_url}packages/{file.name}")
    assert caught.value.partial == file.read_bytes()[: file.stat().st_size // 2]


def test_a_wrong_hash_in_the_page_and_in_the_file(index: Index, tmp_path: Path) -> None:
    file = index.add(wheel(tmp_path))
    index.fail("/packages/*", "wrong-hash")
    assert get(f"{index.upload_url}packages/{file.name}") != file.read_bytes()
    index.fail("/simple/*", "wrong-hash")
    assert "0" * 64 in get(f"{index.url}app/").decode()


def test_a_hang_ends_with_the_index(tmp_path: Path) -> None:
    with Index(tmp_path) as index:
        index.fail("*", "hang")
        with pytest.raises(TimeoutError):
            get(f"{index.url}app/", timeout=0.3)


def test_the_issuer_signs_claims_for_the_bearer_alone(oidc: Oidc) -> None:
    url = oidc.env["ACTIONS_ID_TOKEN_REQUEST_URL"] + f"&audience={AUDIENCE}"
    assert status_of(url, "bearer wrong", oidc.ca_file) == 401
    answer = json.loads(get(url, f"bearer {oidc.env['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}", authorities=oidc.ca_file))
    claims = jwt.decode(answer["value"], options={"verify_signature": False})
    assert claims["aud"] == AUDIENCE
    assert claims["repository"] == "acme/app"


def test_a_minted_token_uploads_until_it_is_burned(oidc: Oidc, tmp_path: Path) -> None:
    file = wheel(tmp_path / "dist")
    assert publish(file, oidc).returncode == 0
    assert [(upload.username, upload.filename) for upload in oidc.index.uploads] == [("__token__", file.name)]
    assert oidc.burned == oidc.minted
    assert len(oidc.minted) == 1
    assert oidc.index.tokens == set()


def test_claims_that_fit_no_publisher_are_refused(oidc: Oidc, tmp_path: Path) -> None:
    oidc.publisher["repository"] = "acme/another"
    run = publish(wheel(tmp_path), oidc)
    assert run.returncode == 2
    assert "invalid-publisher" in run.stderr
    assert oidc.index.uploads == []
