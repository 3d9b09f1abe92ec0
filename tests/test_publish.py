"""`publish` as a process, with the real uv, against a real index and a trusted-publishing service on loopback."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import publish as tool
import pytest
from distributions import sdist, wheel
from services.index import PASSWORD, USERNAME, Fault, Index
from services.oidc import Oidc

TOOL = Path(__file__).resolve().parents[1] / "scripts" / "publish.py"
OF_A_JOB = ("UV_", "GITHUB_", "ACTIONS_", "CI_", "BUILDKITE", "TAG_NAME")
FILES = ["app-0.1.0-py3-none-any.whl", "app-0.1.0.tar.gz"]


class Result:
    """What a run has told; `log` is what a person can see on GitHub: masks are commands, not output."""

    def __init__(self, run: subprocess.CompletedProcess[str], folder: Path) -> None:
        self.code = run.returncode
        self.masked = re.findall(r"^::add-mask::(.*)$", run.stdout, re.MULTILINE)
        self.log = re.sub(r"^::add-mask::.*\n", "", run.stdout, flags=re.MULTILINE) + run.stderr
        self.summary = _read(folder / "summary")
        self.outputs = dict(re.findall(r"^([\w-]+)<<(?:\S+)\n(.*)\n", _read(folder / "output"), re.MULTILINE))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


Publish = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder, with a blank in its path, whose `dist` holds one release of a project."""
    path = tmp_path / "my project"
    wheel(path / "dist")
    sdist(path / "dist")
    return path


@pytest.fixture
def publish(folder: Path) -> Publish:
    """Runs the tool as a step of a GitHub job on a push, with options as the action gives them."""

    def run(
        options: Mapping[str, object], env: Mapping[str, str] | None = None, payload: Mapping[str, object] | None = None
    ) -> Result:
        given = {f"UV_ACTIONS_PUBLISH_{name.upper().replace('-', '_')}": str(value) for name, value in options.items()}
        for name in ("output", "summary"):
            (folder / name).unlink(missing_ok=True)
        (folder / "event.json").write_text(json.dumps({"repository": {"full_name": "acme/app"}, **(payload or {})}))
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(OF_A_JOB)},
            "HOME": str(folder),
            "GITHUB_ACTIONS": "true",
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_EVENT_PATH": str(folder / "event.json"),
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            "UV_HTTP_RETRIES": "0",
            **given,
            **(env or {}),
        }
        command = [sys.executable, TOOL]
        return Result(
            subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False), folder
        )

    return run


def by_password(index: Index, **more: object) -> dict[str, object]:
    options = {"publish-url": index.upload_url, "check-url": index.url, "username": USERNAME, "password": PASSWORD}
    return {**options, "wait": 1, **more}


def by_identity(oidc: Oidc, **more: object) -> dict[str, object]:
    return {"publish-url": oidc.publish_url, **more}


# ---------------------------------------------------------------------------------------------------------------------
# By password


def test_a_second_run_skips_what_the_first_one_uploaded(publish: Publish, index: Index) -> None:
    first = publish(by_password(index))
    assert (first.code, first.outputs) == (0, {"published": "2", "skipped": "0", "url": f"{index.url}app/"}), first.log
    assert index.files() == FILES
    assert [upload.username for upload in index.uploads] == [USERNAME, USERNAME]
    assert "| `app-0.1.0.tar.gz` |" in first.summary

    second = publish(by_password(index))
    assert (second.code, second.outputs) == (0, {"published": "0", "skipped": "2", "url": f"{index.url}app/"})
    assert len(index.uploads) == 2
    assert "already there" in second.summary


def test_only_what_is_missing_is_uploaded(publish: Publish, index: Index, folder: Path) -> None:
    index.add(folder / "dist" / FILES[0])
    result = publish(by_password(index))
    assert (result.code, result.outputs["published"], result.outputs["skipped"]) == (0, "1", "1")
    assert [upload.filename for upload in index.uploads] == [FILES[1]]


def test_other_content_under_the_same_name_uploads_nothing(publish: Publish, index: Index, tmp_path: Path) -> None:
    index.add(sdist(tmp_path / "other").rename(tmp_path / FILES[1]))
    (index.packages / FILES[1]).write_bytes(b"another build")
    result = publish(by_password(index))
    assert result.code == 3
    assert f"already holds {FILES[1]} with other content" in result.log
    assert "new version" in result.log
    assert index.uploads == []


def test_without_a_check_url_a_second_run_is_told_of_it(publish: Publish, index: Index) -> None:
    options = by_password(index, **{"check-url": ""})
    assert publish(options).outputs == {"published": "2", "skipped": "0", "url": ""}
    again = publish(options)
    assert again.code == 2
    assert "give `check-url`" in again.log


def test_an_index_that_reads_without_password(publish: Publish, index: Index) -> None:
    index.require_auth = False
    assert publish(by_password(index)).outputs["published"] == "2"


def test_a_token_is_a_password_without_user_name(publish: Publish, index: Index) -> None:
    index.tokens.add("pypi-token")
    result = publish(by_password(index, username="", password="pypi-token\n"))
    assert result.code == 0, result.log
    assert {upload.username for upload in index.uploads} == {"__token__"}


def test_a_wrong_password(publish: Publish, index: Index) -> None:
    index.require_auth = False
    result = publish(by_password(index, password="wr0ng-secret"))
    assert result.code == 4
    assert "check `username` and `password`" in result.log
    assert "wr0ng-secret" not in result.log + result.summary
    assert "To mend it" in result.summary
    assert index.files() == []


def test_a_dry_run_uploads_nothing_and_says_what_it_would(publish: Publish, index: Index, folder: Path) -> None:
    index.add(folder / "dist" / FILES[0])
    result = publish(by_password(index, **{"dry-run": "true"}))
    assert (result.code, result.outputs["published"], result.outputs["skipped"]) == (0, "0", "1")
    assert "would publish 1, would skip 1" in result.log
    assert f"{FILES[1]}  would publish" in result.log
    assert [request.method for request in index.requests if request.method != "GET"] == []


def test_attestations_go_along(publish: Publish, index: Index, folder: Path) -> None:
    (folder / "dist" / f"{FILES[0]}.publish.attestation").write_text('{"version": 1}')
    (folder / "dist" / "gone-1.0.tar.gz.publish.attestation").write_text("{}")
    result = publish(by_password(index))
    assert result.code == 0, result.log
    assert {upload.filename: upload.attestations for upload in index.uploads} == {
        FILES[0]: '[{"version":1}]',
        FILES[1]: "",
    }
    assert "gone-1.0.tar.gz.publish.attestation belongs to no distribution" in result.log
    assert "with attestation" in result.summary


def test_a_uv_that_uploads_no_attestations(publish: Publish, index: Index, folder: Path, tmp_path: Path) -> None:
    (folder / "dist" / f"{FILES[0]}.publish.attestation").write_text("{}")
    old = tmp_path / "uv"
    old.write_text("#!/bin/sh\necho 'uv 0.9.11 (abc 2025-11-20)'\n")
    old.chmod(0o755)
    result = publish(by_password(index), {"UV_ACTIONS_BIN": str(tmp_path)})
    assert result.code == 2
    assert "uv 0.9.11 does not upload any" in result.log
    assert index.uploads == []


def test_an_index_by_name_with_its_own_login_for_reading(publish: Publish, index: Index, folder: Path) -> None:
    (folder / "pyproject.toml").write_text(
        '[tool.uv]\ntrusted-publishing = "never"\n[[tool.uv.index]]\nname = "my-corp"\n'
        f'url = "{index.url}"\npublish-url = "{index.upload_url}"\n'
    )
    index.tokens.add("upload-only")
    login = {"UV_INDEX_MY_CORP_USERNAME": USERNAME, "UV_INDEX_MY_CORP_PASSWORD": PASSWORD}
    for published in ("2", "0"):
        result = publish({"index": "my-corp", "password": "upload-only"}, login)
        assert (result.code, result.outputs["published"]) == (0, published), result.log
    assert PASSWORD in result.masked
    unknown = publish({"index": "corp", "password": "x"})
    assert unknown.code == 2
    assert "(it has: my-corp)" in unknown.log


def test_the_addresses_of_a_checked_out_project(publish: Publish, index: Index, folder: Path) -> None:
    (folder / "uv.toml").write_text(f'publish-url = "{index.upload_url}"\ncheck-url = "{index.url}"\n')
    login = {"username": USERNAME, "password": PASSWORD}
    assert publish(login).outputs["published"] == "2"
    assert publish(login).outputs["skipped"] == "2"
    (folder / "uv.toml").write_text("publish-url = \n")
    broken = publish(login)
    assert broken.code == 2
    assert "uv.toml can't be read" in broken.log


def test_the_login_for_reading_from_netrc(publish: Publish, index: Index, folder: Path) -> None:
    (folder / "netrc").write_text(f"machine 127.0.0.1 login {USERNAME} password {PASSWORD}\n")
    (folder / "netrc").chmod(0o600)
    index.tokens.add("upload-only")
    options = by_password(index, username="", password="upload-only")
    assert publish(options, {"NETRC": str(folder / "netrc")}).outputs["published"] == "2"


def test_an_index_that_does_not_show_what_it_holds(publish: Publish, index: Index) -> None:
    index.fail("/simple/*", 401)
    result = publish(by_password(index))
    assert result.code == 4
    assert "UV_INDEX_<NAME>_USERNAME" in result.log
    assert index.uploads == []


@pytest.mark.parametrize("fault", [404, 500, 503])
def test_an_index_that_takes_no_upload(publish: Publish, index: Index, fault: int) -> None:
    index.fail("POST /", fault)
    result = publish(by_password(index))
    assert result.code == 5
    assert f"status {fault}" in result.log


@pytest.mark.parametrize("fault", [500, "cut"])
def test_an_index_that_can_not_be_read(publish: Publish, index: Index, folder: Path, fault: Fault) -> None:
    index.add(folder / "dist" / FILES[0])
    index.fail("/simple/*", fault)
    result = publish(by_password(index))
    assert result.code == 5
    assert "can't be read" in result.log
    assert index.uploads == []


def test_a_page_that_fails_once_is_asked_for_again(publish: Publish, index: Index) -> None:
    index.fail("/simple/*", 503, times=1)
    assert publish(by_password(index)).outputs["published"] == "2"


def test_an_index_that_lists_late(publish: Publish, index: Index) -> None:
    # We look before, uv looks before each of the two files.
    index.fail("/simple/*", 404, times=4)
    result = publish(by_password(index, wait=30))
    assert (result.code, result.outputs["published"]) == (0, "2"), result.log
    assert [request.status for request in index.requests[-2:]] == [404, 200]


def test_a_login_page_in_place_of_the_upload_is_no_success(publish: Publish, index: Index) -> None:
    index.fail("POST /", "html")
    result = publish(by_password(index))
    assert result.code == 5
    assert f"does not list {FILES[0]}, {FILES[1]}" in result.log
    assert result.outputs == {}


def test_nobody_answers(publish: Publish) -> None:
    result = publish({"publish-url": "http://127.0.0.1:9/", "password": "x"})
    assert result.code == 5
    assert "Connection refused" in result.log


def test_the_address_for_installing_as_the_one_for_uploading(publish: Publish, index: Index) -> None:
    result = publish(by_password(index, **{"publish-url": index.url}))
    assert result.code == 2
    assert "takes no uploads" in result.log


# ---------------------------------------------------------------------------------------------------------------------
# What is in `dist`


def test_several_folders_and_projects(publish: Publish, index: Index, folder: Path) -> None:
    wheel(folder / "linux" / "[x86]", "other-app", "2.0")
    (folder / "dist" / "notes.txt").write_text("not for the index")
    result = publish(by_password(index, dist="dist\nlinux/[x86]\n"))
    assert result.code == 0, result.log
    assert index.files() == [*FILES, "other_app-2.0-py3-none-any.whl"]
    assert result.outputs["url"] == ""
    assert "left out: 'notes.txt'" in result.log


@pytest.mark.parametrize("content", [None, "notes.txt"])
def test_nothing_to_upload(publish: Publish, index: Index, folder: Path, content: str | None) -> None:
    (folder / "empty").mkdir()
    if content:
        (folder / "empty" / content).touch()
    result = publish(by_password(index, dist="empty"))
    assert result.code == 2
    assert "no wheel and no source distribution in empty" in result.log
    assert "build before" in result.log


def test_dist_that_is_not_there(publish: Publish, index: Index) -> None:
    result = publish(by_password(index, dist="dist/*.whl"))
    assert result.code == 2
    assert "no patterns" in result.log


def test_two_files_of_one_name(publish: Publish, index: Index, folder: Path) -> None:
    wheel(folder / "again")
    assert publish(by_password(index, dist="dist\nagain", **{"dry-run": "true"})).code == 0
    wheel(folder / "again", text="x = 1\n")
    assert publish(by_password(index, dist="dist\nagain")).code == 2


@pytest.mark.parametrize(
    ("tag", "code"),
    [("v0.1.0", 0), ("0.1", 0), ("app-v0.1.0", 0), ("app/0.1.0", 0), ("v0.1.1", 2), ("v0.1.0rc1", 2), ("nightly", 2)],
)
def test_the_tag_has_to_be_the_version(publish: Publish, index: Index, tag: str, code: int) -> None:
    env = {"GITHUB_REF": f"refs/tags/{tag}"}
    result = publish(by_password(index, **{"dry-run": "true"}), env)
    assert result.code == code, result.log
    assert ("tag-matches-version: false" in result.log) == bool(code)
    assert publish(by_password(index, **{"dry-run": "true", "tag-matches-version": "false"}), env).code == 0


# ---------------------------------------------------------------------------------------------------------------------
# Which way


@pytest.mark.parametrize(
    ("options", "both"),
    [
        ({"trusted-publishing": "always", "password": "x"}, ("password", "always")),
        ({"trusted-publishing": "always", "username": "ci"}, ("username", "always")),
        ({"trusted-publishing": "never"}, ("password", "never")),
        ({"username": "ci"}, ("username", "password")),
        ({"index": "corp", "publish-url": "https://host/"}, ("index", "publish-url")),
        ({"index": "corp", "check-url": "https://host/"}, ("index", "check-url")),
    ],
)
def test_contradictions_name_both_ways(publish: Publish, options: dict[str, str], both: tuple[str, str]) -> None:
    result = publish(options if "index" not in options else {**options, "password": "x"})
    assert result.code == 2
    for name in both:
        assert name in result.log
    assert result.summary.startswith("### Publish failed")


@pytest.mark.parametrize("url", ["https://ci:s3cret@host/", "ftp://host/", "host", "https://host:port/"])
def test_addresses_that_are_none_or_hold_a_password(publish: Publish, url: str) -> None:
    result = publish({"publish-url": url, "password": "x"})
    assert result.code == 2
    assert "publish-url" in result.log
    assert "s3cret" not in result.log


def test_the_environment_of_uv_changes_nothing(publish: Publish, index: Index) -> None:
    env = {
        "UV_PUBLISH_TOKEN": "stale-token",
        "UV_PUBLISH_URL": "http://127.0.0.1:9/",
        "UV_PUBLISH_CHECK_URL": "http://127.0.0.1:9/",
        "UV_KEYRING_PROVIDER": "subprocess",
        "UV_INDEX_URL": "http://127.0.0.1:9/",
        "UV_WORKING_DIR": "/nowhere",
        "UV_FROZEN": "1",
    }
    result = publish(by_password(index), env)
    assert (result.code, result.outputs["published"]) == (0, "2"), result.log
    assert "UV_PUBLISH_TOKEN of the environment is not used; give `password`" in result.log
    assert "stale-token" not in result.log


# ---------------------------------------------------------------------------------------------------------------------
# Trusted publishing


@pytest.mark.parametrize("way", ["auto", "always"])
def test_trusted_publishing(publish: Publish, oidc: Oidc, way: str) -> None:
    oidc.index.require_auth = False
    result = publish(by_identity(oidc, **{"trusted-publishing": way, "check-url": oidc.url}), oidc.env)
    assert (result.code, result.outputs["published"]) == (0, "2"), result.log
    assert {upload.username for upload in oidc.index.uploads} == {"__token__"}
    assert len(oidc.minted) == 1
    assert oidc.burned == oidc.minted
    assert result.masked == oidc.minted
    assert oidc.minted[0] not in result.log + result.summary
    assert "trusted publishing" in result.summary

    again = publish(by_identity(oidc, **{"check-url": oidc.url}), oidc.env)
    assert again.outputs == {"published": "0", "skipped": "2", "url": f"{oidc.url}app/"}
    assert len(oidc.minted) == 1


def test_a_dry_run_of_trusted_publishing_proves_the_publisher(publish: Publish, oidc: Oidc) -> None:
    result = publish(by_identity(oidc, **{"dry-run": "true"}), oidc.env)
    assert (result.code, result.outputs["published"]) == (0, "0"), result.log
    assert oidc.burned == oidc.minted
    assert len(oidc.minted) == 1
    assert oidc.index.uploads == []


def test_a_token_is_not_sent_in_the_clear(publish: Publish, oidc: Oidc) -> None:
    result = publish({"publish-url": oidc.index.upload_url}, oidc.env)
    assert result.code == 2
    assert "https" in result.log
    assert oidc.requests == []


def test_a_job_without_the_permission(publish: Publish, oidc: Oidc) -> None:
    result = publish(by_identity(oidc), oidc.trust)
    assert result.code == 4
    assert "id-token: write" in result.log
    assert "title=publish%3A permission missing" in result.log
    assert oidc.requests == []


def test_a_pull_request_from_a_fork(publish: Publish, oidc: Oidc) -> None:
    payload = {"pull_request": {"head": {"repo": {"full_name": "stranger/app"}}}}
    result = publish(by_identity(oidc), oidc.trust, payload)
    assert result.code == 4
    assert "pull request from a fork (stranger/app)" in result.log
    own = {"pull_request": {"head": {"repo": {"full_name": "acme/app"}}}}
    assert "permission missing" in publish(by_identity(oidc), oidc.trust, own).log
    target = {**oidc.trust, "GITHUB_EVENT_NAME": "pull_request_target"}
    assert "permission missing" in publish(by_identity(oidc), target, payload).log


@pytest.mark.parametrize(("fault", "code", "cause"), [(404, 4, "no trusted publishing"), (500, 5, "status 500")])
def test_the_index_tells_no_audience(publish: Publish, oidc: Oidc, fault: int, code: int, cause: str) -> None:
    oidc.refuse("audience", fault)
    result = publish(by_identity(oidc), oidc.env)
    assert result.code == code
    assert cause in result.log
    assert "title=publish%3A audience" in result.log


def test_a_token_for_another_audience(publish: Publish, oidc: Oidc) -> None:
    oidc.refuse("audience", "wrong")
    result = publish(by_identity(oidc), oidc.env)
    assert result.code == 4
    assert "audience 'another-index'" in result.log
    assert "malformed JWT" in result.log


def test_claims_that_fit_no_publisher(publish: Publish, oidc: Oidc) -> None:
    oidc.publisher["environment"] = "release"
    result = publish(by_identity(oidc), oidc.env)
    assert result.code == 4
    for text in ("invalid-publisher", "repository: acme/app", "environment: (none)", "workflow release.yml"):
        assert text in result.log
        assert text in result.summary
    assert "title=publish%3A claims refused" in result.log
    tokens = [text for text in result.masked if text.count(".") == 2]
    assert len(tokens) == 1
    signature = tokens[0].split(".")[2]
    assert signature not in result.log + result.summary


def test_a_publisher_in_a_reusable_workflow(publish: Publish, oidc: Oidc) -> None:
    oidc.claims["job_workflow_ref"] = "acme/shared/.github/workflows/publish.yml@refs/heads/main"
    result = publish(by_identity(oidc), oidc.env)
    assert result.code == 4
    assert "reusable workflow" in result.log


@pytest.mark.parametrize(("fault", "code"), [(403, 4), (500, 5)])
def test_github_refuses_the_identity(publish: Publish, oidc: Oidc, fault: int, code: int) -> None:
    oidc.refuse("issuer", fault)
    result = publish(by_identity(oidc), oidc.env)
    assert result.code == code
    assert f"status {fault}" in result.log
    assert "no identity token" in result.log


def test_the_index_is_out_of_order(publish: Publish, oidc: Oidc) -> None:
    oidc.refuse("mint", 503)
    result = publish(by_identity(oidc), oidc.env)
    assert result.code == 5


def test_no_identity_outside_ci(publish: Publish, oidc: Oidc) -> None:
    result = publish(by_identity(oidc), {**oidc.trust, "GITHUB_ACTIONS": "", "GITLAB_CI": "", "BUILDKITE": ""})
    assert result.code == 2
    assert "give `password`" in result.log


def test_a_token_that_may_not_upload_this_project(publish: Publish, oidc: Oidc) -> None:
    oidc.index.fail("POST /", 403)
    result = publish(by_identity(oidc), oidc.env)
    assert result.code == 4
    assert "publisher belongs to this very project" in result.log
    assert oidc.burned == oidc.minted


# ---------------------------------------------------------------------------------------------------------------------
# Decisions that need no server


def plan(publish_url: str = "", check_url: str = "", *files: str) -> tool.Plan:
    found = [tool.Distribution(Path(name), *(tool.name_and_version(name) or ("", "")), 1, "") for name in files]
    return tool.Plan(tool.Target(publish_url, check_url), None, tuple(found), ())


@pytest.mark.parametrize(
    ("uploaded_to", "check_url", "files", "page"),
    [
        ("https://upload.example.org/legacy/", "", FILES, "https://example.org/project/app/0.1.0/"),
        ("https://test.example.org/legacy/", "", FILES, "https://test.example.org/project/app/0.1.0/"),
        ("https://corp.example/up", "https://corp.example/simple/", FILES, "https://corp.example/simple/app/"),
        ("https://corp.example/up", "", FILES, ""),
        ("https://upload.example.org/legacy/", "", [*FILES, "other-1.0.tar.gz"], ""),
    ],
)
def test_the_page_of_a_release(uploaded_to: str, check_url: str, files: list[str], page: str) -> None:
    assert tool.page_of(plan(uploaded_to, check_url, *files), uploaded_to) == page


def test_a_page_of_the_simple_api_as_json() -> None:
    page = {"meta": {"api-version": "1.1"}, "files": [{"filename": FILES[0], "url": "x", "hashes": {"sha256": "ab"}}]}
    assert tool.files_in_json(json.dumps(page).encode()) == {FILES[0]: {"sha256": "ab"}}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("v1.0.0-RC.1", "1.0rc1", True),
        ("1.0-1", "1.0.post1", True),
        ("1.0.dev", "1.0.dev0", True),
        ("1!1.0", "1.0", False),
        ("1.0+cpu.1", "1.0+cpu_1", True),
        ("1.0a1", "1.0b1", False),
        ("2026.09.4", "2026.9.4", True),
        ("10", "1", False),
    ],
)
def test_versions_are_compared_as_versions(one: str, other: str, same: bool) -> None:
    assert (tool.release_of(one) == tool.release_of(other)) is same


@pytest.mark.parametrize(
    "name", ["app.tar.gz", "docs-latest.tar.gz", "app-1.0.zip", "app-1.0-py3.whl", "a b-1.0.tar.gz"]
)
def test_names_that_are_no_distribution(name: str) -> None:
    assert tool.name_and_version(name) is None


# ---------------------------------------------------------------------------------------------------------------------
# Secrets


def test_a_password_is_in_no_command_line_and_no_log(publish: Publish, index: Index) -> None:
    index.password = secret = "wicked secret/with?marks"
    seen: set[bytes] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes())
                except OSError:
                    continue
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = publish(by_password(index, password=secret))
    finally:
        over.set()
        watcher.join()
    assert result.code == 0, result.log
    assert any(b"publish\0--no-config" in command for command in seen), "the watcher has not seen uv"
    forms = (secret, "wicked%20secret%2Fwith%3Fmarks", base64.b64encode(f"{USERNAME}:{secret}".encode()).decode())
    for form in forms:
        assert form not in result.log + result.summary
        assert not any(form.encode() in command for command in seen)
    assert result.masked[0] == secret


def test_a_server_can_not_give_commands_to_the_runner(publish: Publish, index: Index) -> None:
    index.refusal = "::set-output name=url::https://evil.example\n::add-mask::published"
    index.fail("POST /", 400)
    result = publish(by_password(index))
    assert result.code == 2
    assert not re.search(r"^\s*::(?!error|warning)", result.log, re.MULTILINE)
    assert "published" not in result.masked
