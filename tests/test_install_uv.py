"""`install_uv.sh`: which version, from where, on which platform, and what it does when any of that is wrong."""

from __future__ import annotations

import base64
import concurrent.futures
import functools
import hashlib
import os
import platform
import re
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
INSTALLER = SCRIPTS / "install_uv.sh"
DEFAULT_VERSION = re.search(r"(?m)^DEFAULT_VERSION=(.+)$", INSTALLER.read_text())[1]  # ty: ignore[not-subscriptable]
OLDEST_SUPPORTED = re.search(r"(?m)^OLDEST_SUPPORTED=(.+)$", INSTALLER.read_text())[1]  # ty: ignore[not-subscriptable]

SHELLS = {"dash": ["dash"], "busybox": ["busybox", "sh"], "bash": ["bash"]}
DOWNLOADERS = ("curl", "wget", "python3", "busybox wget")
TOOLS = (
    *("awk", "cat", "chmod", "cp", "cut", "date", "env", "getconf", "grep", "head", "ls", "mkdir", "mktemp", "mv"),
    *("rm", "sed", "sh", "tail", "timeout", "tr", "uname"),
)
MACHINE = platform.machine()
GLIBC_TAG = f"manylinux_2_17_{MACHINE}.manylinux2014_{MACHINE}"
CREDENTIALS = {"UV_ACTIONS_UV_INDEX_USERNAME": "ci", "UV_ACTIONS_UV_INDEX_PASSWORD": 'pä$"\\ s3cret'}


@functools.cache
def find(tool: str) -> str:
    if tool == "python3":
        return str(Path(sys.executable).resolve())
    path = shutil.which(tool)
    if not path:
        pytest.fail(f"{tool} is not on this machine; apt-get install busybox dash libarchive-tools unzip wget")
    return path


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def fake_uv(folder: Path, version: str) -> Path:
    """An installed uv as far as the installer looks at one."""
    script(folder / "uv", f'echo "uv {version} (stand-in)"')
    script(folder / "uvx", "exit 0")
    return folder


def build_wheel(folder: Path, version: str, tag: str = GLIBC_TAG, exe: str = "", programs: str = "uv uvx") -> Path:
    """A small wheel with the layout of uv's own."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"uv-{version}-py3-none-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("uv/__init__.py", "")
        for program in programs.split():
            text = f'#!/bin/sh\necho "{program} {version} from the wheel for {tag}"\n'
            archive.writestr(f"uv-{version}.data/scripts/{program}{exe}", text)
        archive.writestr(f"uv-{version}.dist-info/METADATA", f"Name: uv\nVersion: {version}\n")
        # Something that doesn't compress, so that half of the file can be served.
        archive.writestr("uv/padding", os.urandom(50_000))
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Mirror:
    """A package index on loopback, with the faults that an index can have."""

    def __init__(self, folder: Path, certificate: trustme.LeafCert | None = None) -> None:
        self.folder = folder
        folder.mkdir()
        self.requests: list[tuple[str, int]] = []
        self.faults: dict[str, int | str] = {}  # "page" or "wheel" -> status, "cut", "html", "wrong-hash" or "hang"
        self.credentials: tuple[str, str] | None = None
        self.links = "../../files/{name}#sha256=0"
        self.headers: list[dict[str, str]] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def origin(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server.server_port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/pypi/simple/"

    def add(self, version: str, tag: str = GLIBC_TAG, **layout: str) -> Path:
        return build_wheel(self.folder, version, tag, **layout)

    def wheel_requests(self) -> list[tuple[str, int]]:
        return [request for request in self.requests if ".whl" in request[0]]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        # Asked as a proxy, the path is a whole URL.
        path = re.sub("^http://[^/]+", "", request.path).partition("?")[0]
        self.headers.append(dict(request.headers))
        kind = "page" if path.endswith("/uv/") else "wheel"
        status, body = self.content(path, request.headers.get("Authorization"))
        fault = self.faults.get(kind)
        if fault == "hang":
            self.requests.append((request.path, 0))
            time.sleep(5)
            return
        if isinstance(fault, int):
            status, body = fault, b"no"
        elif fault == "html":
            body = b"<!DOCTYPE html>\n<html><body>Please log in <a href='/login'>here</a></body></html>"
        elif fault == "json":
            body = b'{"meta": {"api-version": "1.1"}, "files": []}'
        elif fault == "wrong-hash":
            body = body[:100] + b"tampered" + body[108:]
        self.requests.append((request.path, status))
        request.send_response(status)
        if status == 401:
            request.send_header("WWW-Authenticate", 'Basic realm="index"')
        request.send_header("Content-Type", "text/html" if kind == "page" else "application/octet-stream")
        if fault != "silent-cut":
            request.send_header("Content-Length", str(len(body)))
        if status == 302:
            request.send_header("Location", body.decode())
        request.end_headers()
        request.wfile.write(body[: len(body) // 2] if fault in ("cut", "silent-cut") else body)

    def content(self, path: str, authorization: str | None) -> tuple[int, bytes]:
        if self.credentials:
            expected = base64.b64encode(":".join(self.credentials).encode()).decode()
            if authorization != f"Basic {expected}":
                return 401, b"no"
        if path == "/pypi/simple/uv/":
            names = sorted(file.name for file in self.folder.iterdir())
            hrefs = [self.links.format(name=name, origin=self.origin) for name in names]
            links = [f'<a data-x="&gt;=3" href="{href}">{name}</a>' for href, name in zip(hrefs, names, strict=True)]
            return 200, f"<!DOCTYPE html><html><body>{'<br>'.join(links)}</body></html>".encode()
        if path == "/moved/uv/":
            return 302, b"/pypi/simple/uv/"
        file = self.folder / path.rpartition("/")[2]
        if path.startswith("/pypi/files/") and file.is_file():
            return 200, file.read_bytes()
        return 404, b"no such file"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    mirror = Mirror(tmp_path / "index")
    yield mirror
    mirror.close()


class Machine:
    """A machine with nothing but the tools that a test gives it, and no waiting between attempts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "bin"
        self.tool_dir = root / "tool dir"
        self.project = root / "project"
        self.project.mkdir()
        (self.project / ".git").mkdir()
        self.versions_file = root / "versions.tsv"
        self.sleeps = root / "sleeps"
        self.environment: dict[str, str] = {}
        for tool in TOOLS:
            self.give(tool)
        script(self.bin / "sleep", f'echo "$1" >> "{self.sleeps}"')
        self.give("curl", "unzip", "sha256sum")

    def give(self, *tools: str) -> None:
        self.bin.mkdir(exist_ok=True)
        for tool in tools:
            (self.bin / tool).symlink_to(find(tool))

    def take_away(self, *tools: str) -> None:
        for tool in tools:
            (self.bin / tool).unlink()

    def only_downloader(self, downloader: str) -> None:
        self.take_away("curl")
        if downloader == "busybox wget":
            script(self.bin / "wget", f'exec "{find("busybox")}" wget "$@"')
        else:
            self.give(downloader)

    def know(self, *wheels: Path, index: str = "http://127.0.0.1:9/simple/") -> None:
        """Writes the versions file."""
        rows = [f"# index: {index}"]
        for wheel in wheels:
            _, version, _, _, tag = wheel.stem.split("-")
            rows.append(f"{version}\t{tag}\t{sha256(wheel)}")
        self.versions_file.write_text("\n".join(rows) + "\n")

    def know_versions(self, *versions: str) -> None:
        rows = [f"{version}\t{GLIBC_TAG}\t{'0' * 64}\n" for version in versions]
        self.versions_file.write_text("# index: http://127.0.0.1:9/simple/\n" + "".join(rows))

    def env(self, **more: str) -> dict[str, str]:
        return {
            "PATH": str(self.bin),
            "HOME": str(self.root / "home"),
            "LANG": "C.UTF-8",
            "UV_HTTP_TIMEOUT": "1",
            "UV_ACTIONS_TOOL_DIR": str(self.tool_dir),
            "UV_ACTIONS_UV_VERSIONS_FILE": str(self.versions_file),
            **self.environment,
            **more,
        }

    def run(self, *options: str | Path, shell: str = "dash", **env: str) -> subprocess.CompletedProcess[str]:
        command = [find(SHELLS[shell][0]), *SHELLS[shell][1:], INSTALLER, *options]
        return subprocess.run(
            command, env=self.env(**env), cwd=self.project, capture_output=True, text=True, timeout=60, check=False
        )

    def left(self) -> list[str]:
        """What is in the tool folder."""
        if not self.tool_dir.is_dir():
            return []
        return sorted(str(path.relative_to(self.tool_dir)) for path in self.tool_dir.rglob("*"))

    def installed(self, result: subprocess.CompletedProcess[str]) -> Path:
        """The folder that a run that went well has printed."""
        assert result.returncode == 0, result.stderr
        folder = Path(result.stdout.removesuffix("\n"))
        assert folder.is_absolute()
        assert os.access(folder / "uv", os.X_OK)
        assert os.access(folder / "uvx", os.X_OK)
        return folder

    def refused(self, result: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
        """Checks that a run has failed as it must: one message with its mend, and nothing left."""
        assert result.returncode == code, (result.stdout, result.stderr)
        assert result.stdout == ""
        lines = result.stderr.splitlines()
        assert len(lines) == 2, result.stderr
        assert lines[0].startswith("error: ")
        assert lines[1].startswith("  To mend it: ")
        for word in words:
            assert word in result.stderr
        assert self.left() == []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    return request.param


# ----------------------------------------------------------------------------------------------------------------------
# From an index


def test_installs_from_the_index_of_the_versions_file(machine: Machine, mirror: Mirror, shell: str) -> None:
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    result = machine.run("--version", "0.12.1", shell=shell)
    folder = machine.installed(result)
    assert folder == machine.tool_dir / f"0.12.1-linux-{MACHINE}-glibc"
    assert machine.left() == [folder.name, f"{folder.name}/uv", f"{folder.name}/uvx"]
    assert "from the wheel" in subprocess.run([folder / "uv"], capture_output=True, text=True, check=True).stdout
    assert folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("downloader", DOWNLOADERS)
@pytest.mark.parametrize(
    "links",
    ["{origin}/pypi/files/{name}", "/pypi/files/{name}?a=1&amp;b=2#sha256=0", "../../files/./{name}"],
    ids=["absolute", "rooted", "relative"],
)
def test_every_downloader_follows_every_kind_of_link(
    machine: Machine, mirror: Mirror, downloader: str, links: str
) -> None:
    machine.only_downloader(downloader)
    mirror.links = links
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    machine.installed(machine.run("--version=0.12.1"))
    (path, status) = mirror.wheel_requests()[0]
    assert status == 200
    assert path.endswith(".whl?a=1&b=2" if "?" in links else ".whl")


@pytest.mark.parametrize("downloader", DOWNLOADERS)
def test_links_are_relative_to_where_the_page_was_moved(machine: Machine, mirror: Mirror, downloader: str) -> None:
    machine.only_downloader(downloader)
    machine.know(mirror.add("0.12.1"))
    machine.installed(machine.run("--version", "0.12.1", "--index-url", f"{mirror.origin}/moved"))


@pytest.mark.parametrize("unpacker", ["unzip", "bsdtar", "python3", "busybox unzip", "tar"])
def test_every_unpacker(machine: Machine, mirror: Mirror, unpacker: str) -> None:
    machine.take_away("unzip")
    if unpacker == "busybox unzip":
        script(machine.bin / "unzip", f'exec "{find("busybox")}" unzip "$@"')
    elif unpacker == "tar":  # as on macOS and Windows
        script(machine.bin / "tar", f'exec "{find("bsdtar")}" "$@"')
    else:
        machine.give(unpacker)
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    machine.installed(machine.run("--version", "0.12.1"))


@pytest.mark.parametrize("hasher", ["sha256sum", "shasum", "openssl", "python3"])
def test_every_hasher_takes_the_right_wheel_and_refuses_the_wrong_one(
    machine: Machine, mirror: Mirror, hasher: str
) -> None:
    machine.take_away("sha256sum")
    machine.give(hasher)
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    mirror.faults["wheel"] = "wrong-hash"
    machine.refused(machine.run("--version", "0.12.1"), 3)
    mirror.faults.clear()
    machine.installed(machine.run("--version", "0.12.1"))


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("downloader", ["curl", "wget", "python3"])
def test_a_certificate_authority_of_the_site(machine: Machine, tmp_path: Path, downloader: str, variable: str) -> None:
    machine.only_downloader(downloader)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "site ca.pem")
    mirror = Mirror(tmp_path / "tls", authority.issue_cert("127.0.0.1"))
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    try:
        result = machine.run("--version", "0.12.1", **{variable: str(tmp_path / "site ca.pem")})
        machine.installed(result)
        shutil.rmtree(machine.tool_dir)
        machine.refused(machine.run("--version", "0.12.1"), 5, "certificate", "SSL_CERT_FILE")
    finally:
        mirror.close()
    assert not machine.sleeps.exists()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy"])
@pytest.mark.parametrize("downloader", DOWNLOADERS)
def test_a_proxy(machine: Machine, mirror: Mirror, downloader: str, variable: str) -> None:
    machine.only_downloader(downloader)
    machine.know(mirror.add("0.12.1"), index="http://index.invalid/pypi/simple/")
    machine.installed(machine.run("--version", "0.12.1", **{variable: mirror.origin}))
    assert [path.partition("/pypi/")[0] for path, _ in mirror.requests] == ["http://index.invalid"] * 2


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize("downloader", ["curl", "wget", "python3"])
def test_no_proxy(machine: Machine, mirror: Mirror, downloader: str, variable: str) -> None:
    machine.only_downloader(downloader)
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    env = {"HTTP_PROXY": "http://127.0.0.1:9", variable: "localhost,127.0.0.1"}
    machine.installed(machine.run("--version", "0.12.1", **env))


def test_a_machine_with_nothing_but_busybox(machine: Machine, mirror: Mirror) -> None:
    """As a job container of Alpine."""
    shutil.rmtree(machine.bin)
    for tool in {*TOOLS, "sha256sum", "unzip", "wget"} - {"getconf"}:
        (machine.bin / tool).parent.mkdir(exist_ok=True)
        (machine.bin / tool).symlink_to(find("busybox"))
    loaded = subprocess.run([find("busybox"), "uname", "-m"], capture_output=True, text=True, check=True).stdout.strip()
    (machine.project / "pyproject.toml").write_text(PYPROJECT + '[tool.uv]\nrequired-version = "~=0.12"\n')
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    folder = machine.installed(machine.run(shell="busybox"))
    assert folder.name == f"0.12.1-linux-{loaded}-glibc"
    mirror.faults["wheel"] = "wrong-hash"
    result = machine.run("--fresh", shell="busybox")
    assert (result.returncode, result.stdout) == (3, "")


def test_mirror_of_the_component_is_the_index_unless_the_installer_has_its_own(
    machine: Machine, mirror: Mirror
) -> None:
    machine.know(mirror.add("0.12.1"))
    machine.installed(machine.run("--version", "0.12.1", UV_ACTIONS_MIRROR=mirror.url, UV_ACTIONS_UV_INDEX_URL=""))
    shutil.rmtree(machine.tool_dir)
    machine.installed(
        machine.run("--version", "0.12.1", UV_ACTIONS_MIRROR="http://127.0.0.1:9", UV_ACTIONS_UV_INDEX_URL=mirror.url)
    )


def test_options_come_from_the_environment_and_the_command_line_wins(machine: Machine, mirror: Mirror) -> None:
    machine.know(mirror.add("0.12.1"), mirror.add("0.12.2"))
    environment = {"UV_ACTIONS_UV_VERSION": "0.12.1", "UV_ACTIONS_UV_INDEX_URL": mirror.url}
    assert machine.installed(machine.run(**environment)).name.startswith("0.12.1-")
    assert machine.installed(machine.run("--version", "0.12.2", **environment)).name.startswith("0.12.2-")


@pytest.mark.parametrize("version", [DEFAULT_VERSION, OLDEST_SUPPORTED])
def test_the_real_uv(machine: Machine, version: str) -> None:
    """The default version and the oldest that is supported, from the index that the released table names."""
    network = {
        name: os.environ[name]
        for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")
        if name in os.environ
    }
    result = machine.run(
        "--version",
        version,
        UV_ACTIONS_UV_VERSIONS_FILE="",
        UV_ACTIONS_UV_INDEX_URL="",
        UV_HTTP_TIMEOUT="30",
        **network,
    )
    folder = machine.installed(result)
    for program in ("uv", "uvx"):
        shown = subprocess.run([folder / program, "--version"], capture_output=True, text=True, check=True).stdout
        assert shown.split()[1] == version


# ----------------------------------------------------------------------------------------------------------------------
# Checksums


def test_unknown_version_needs_a_checksum(machine: Machine, mirror: Mirror) -> None:
    mirror.add("0.99.0")
    machine.know_versions("0.12.1")
    machine.refused(machine.run("--version", "0.99.0", "--index-url", mirror.url), 2, "0.99.0", "--checksum")
    assert mirror.requests == []


@pytest.mark.parametrize(
    "spell", [str, str.upper, "sha256:{}".format, ("0" * 64 + "\n{}\n").format, ("0" * 64 + " {}").format]
)
def test_unknown_version_with_a_checksum_of_which_any_may_match(machine: Machine, mirror: Mirror, spell) -> None:
    wheel = mirror.add("0.99.0rc1")
    mirror.add("0.99.0rc1", "win_amd64")
    machine.know_versions("0.12.1")
    checksum = spell(sha256(wheel))
    machine.installed(machine.run("--version", "0.99.0rc1", "--index-url", mirror.url, UV_ACTIONS_UV_CHECKSUM=checksum))


def test_repeated_checksums(machine: Machine, mirror: Mirror) -> None:
    wheel = mirror.add("0.99.0")
    machine.know_versions("0.12.1")
    options = ("--version", "0.99.0", "--index-url", mirror.url, "--checksum", "0" * 64)
    machine.refused(machine.run(*options), 3, "0" * 64, sha256(wheel))
    machine.installed(machine.run(*options, "--checksum", sha256(wheel)))


def test_checksum_takes_the_place_of_the_table(machine: Machine, mirror: Mirror) -> None:
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    machine.refused(machine.run("--version", "0.12.1", "--checksum", "1" * 64), 3, "1" * 64)


@pytest.mark.parametrize("checksum", ["abc", "g" * 64, "0" * 63, "md5:" + "0" * 32, "$(touch evil)", "*"])
def test_malformed_checksum(machine: Machine, checksum: str) -> None:
    machine.know_versions("0.12.1")
    machine.refused(machine.run("--version", "0.12.1", "--checksum", checksum), 2, "`checksum`")
    assert not (machine.project / "evil").exists()


# ----------------------------------------------------------------------------------------------------------------------
# Faults of the index: exit code, number of attempts, nothing left

FAULTS = [
    # where, fault, exit code, attempts, word in the message
    ("page", 401, 4, 1, "401"),
    ("page", 403, 4, 1, "403"),
    ("page", 404, 5, 1, "404"),
    ("page", 500, 5, 3, "500"),
    ("page", 503, 5, 3, "503"),
    ("page", "html", 5, 1, "not the list"),
    ("page", "json", 5, 1, "not the list"),
    ("page", "cut", 5, 3, "can't be had"),
    ("page", "hang", 5, 3, "can't be had"),
    ("wheel", 401, 4, 1, "401"),
    ("wheel", 404, 5, 1, "404"),
    ("wheel", 502, 5, 3, "502"),
    ("wheel", "html", 5, 1, "HTML"),
    ("wheel", "cut", 5, 3, "can't be had"),
    ("wheel", "silent-cut", 5, 3, "cut"),
    ("wheel", "wrong-hash", 3, 1, "sha256"),
]


@pytest.mark.parametrize("downloader", DOWNLOADERS)
@pytest.mark.parametrize(("where", "fault", "code", "attempts", "word"), FAULTS, ids=[f"{f[0]}-{f[1]}" for f in FAULTS])
def test_faults_of_an_index(
    machine: Machine,
    mirror: Mirror,
    downloader: str,
    where: str,
    fault: int | str,
    code: int,
    attempts: int,
    word: str,
) -> None:
    machine.only_downloader(downloader)
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    mirror.faults[where] = fault
    machine.refused(machine.run("--version", "0.12.1"), code, word)
    asked = [path for path, _ in mirror.requests if (".whl" in path) == (where == "wheel")]
    assert len(asked) == attempts
    waits = machine.sleeps.read_text().split() if machine.sleeps.exists() else []
    assert waits == ["1", "2"][: attempts - 1]


@pytest.mark.parametrize("downloader", DOWNLOADERS)
def test_an_index_that_recovers(machine: Machine, mirror: Mirror, downloader: str) -> None:
    machine.only_downloader(downloader)
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    mirror.faults["wheel"] = "cut"
    script(machine.bin / "sleep", f': > "{machine.root}/slept"; while [ -e "{machine.root}/slept" ]; do :; done')

    def recover() -> None:
        deadline = time.monotonic() + 20
        while not (machine.root / "slept").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        mirror.faults.clear()
        (machine.root / "slept").unlink(missing_ok=True)

    helper = threading.Thread(target=recover)
    helper.start()
    machine.installed(machine.run("--version", "0.12.1"))
    helper.join()
    assert len(mirror.wheel_requests()) == 2


@pytest.mark.parametrize("downloader", DOWNLOADERS)
def test_no_connection(machine: Machine, downloader: str) -> None:
    machine.only_downloader(downloader)
    machine.know_versions("0.12.1")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening: a connection is refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/simple/"
        machine.refused(machine.run("--version", "0.12.1", "--index-url", url), 5, "attempts", "HTTPS_PROXY")


def test_an_index_without_the_version(machine: Machine, mirror: Mirror) -> None:
    mirror.add("0.12.2")
    machine.know_versions("0.12.1")
    machine.refused(machine.run("--version", "0.12.1", "--index-url", mirror.url), 5, "no wheel of uv 0.12.1")


def test_a_wheel_without_uvx(machine: Machine, mirror: Mirror) -> None:
    machine.know(mirror.add("0.12.1", programs="uv"), index=mirror.url)
    machine.refused(machine.run("--version", "0.12.1"), 2, "holds no uv and uvx")


def test_errors_are_annotations_on_github(machine: Machine, mirror: Mirror) -> None:
    machine.know(mirror.add("0.12.1"))
    result = machine.run("--version", "0.12.1", "--index-url", f"{mirror.origin}/100%/simple", GITHUB_ACTIONS="true")
    assert result.returncode == 5
    (line,) = result.stderr.splitlines()
    assert line.startswith(
        f"::error title=install_uv::{mirror.origin}/100%25/simple/uv/: HTTP status 404%0ATo mend it: "
    )


# ----------------------------------------------------------------------------------------------------------------------
# Credentials


@pytest.mark.parametrize("downloader", ["curl", "wget", "python3"])
@pytest.mark.parametrize("by", ["environment", "netrc", "home"])
def test_credentials(machine: Machine, mirror: Mirror, downloader: str, by: str) -> None:
    machine.only_downloader(downloader)
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    user, password = "ci", "s3cret-" + by
    env = {"UV_ACTIONS_UV_INDEX_USERNAME": user, "UV_ACTIONS_UV_INDEX_PASSWORD": password}
    if by != "environment":
        netrc = machine.root / ("home/.netrc" if by == "home" else "my netrc")
        netrc.parent.mkdir(exist_ok=True)
        netrc.write_text(f"machine 127.0.0.1\nlogin {user}\npassword {password}\n")
        netrc.chmod(0o600)
        env = {"NETRC": str(netrc)} if by == "netrc" else {}
    mirror.credentials = (user, "another")
    machine.refused(machine.run("--version", "0.12.1", **env), 4, "netrc", "UV_ACTIONS_UV_INDEX_USERNAME")
    mirror.credentials = (user, password)
    result = machine.run("--version", "0.12.1", **env)
    machine.installed(result)
    assert password not in result.stderr


@pytest.mark.parametrize("downloader", ["curl", "wget", "python3"])
def test_passwords_are_no_arguments_of_a_process_and_go_to_the_index_alone(
    machine: Machine, mirror: Mirror, tmp_path: Path, downloader: str
) -> None:
    machine.only_downloader(downloader)
    script(machine.bin / downloader, f'echo "$@" >> "{tmp_path}/arguments"; exec "{find(downloader)}" "$@"')
    files = Mirror(tmp_path / "files")
    wheel = files.add("0.12.1")
    shutil.copy(wheel, mirror.folder)
    mirror.links = files.origin + "/pypi/files/{name}"
    mirror.credentials = (
        CREDENTIALS["UV_ACTIONS_UV_INDEX_USERNAME"],
        CREDENTIALS["UV_ACTIONS_UV_INDEX_PASSWORD"],
    )
    machine.know(wheel, index=mirror.url)
    try:
        machine.installed(machine.run("--version", "0.12.1", **CREDENTIALS))
    finally:
        files.close()
    assert len(files.headers) == 1
    assert "Authorization" not in files.headers[0]
    arguments = (tmp_path / "arguments").read_text()
    assert "/uv/" in arguments or downloader == "curl"
    assert "s3cret" not in arguments


def test_a_wget_that_has_no_log_in_is_not_given_credentials(machine: Machine, mirror: Mirror) -> None:
    machine.only_downloader("busybox wget")
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    machine.refused(machine.run("--version", "0.12.1", **CREDENTIALS), 2, "not able to log in")
    assert mirror.requests == []


def test_url_with_user_information(machine: Machine) -> None:
    machine.know_versions("0.12.1")
    for option in (
        {"UV_ACTIONS_UV_INDEX_URL": "https://ci:s3cret@host/simple"},
        {"UV_ACTIONS_MIRROR": "https://s3cret@host/"},
    ):
        result = machine.run("--version", "0.12.1", **option)
        machine.refused(result, 2, "user information", "netrc")
        assert "s3cret" not in result.stderr


# ----------------------------------------------------------------------------------------------------------------------
# What the machine lacks


@pytest.mark.parametrize(
    ("missing", "word"),
    [("curl", "download with"), ("unzip", "unpack a wheel with"), ("sha256sum", "compute a sha256 with")],
)
def test_a_tool_is_missing(machine: Machine, mirror: Mirror, missing: str, word: str, shell: str) -> None:
    machine.take_away(missing)
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    machine.refused(machine.run("--version", "0.12.1", shell=shell), 2, word, "install")
    assert mirror.requests == []


def test_a_python3_that_only_opens_the_shop_is_none(machine: Machine, mirror: Mirror) -> None:
    machine.take_away("curl")
    script(machine.bin / "python3", "exit 9")
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    machine.refused(machine.run("--version", "0.12.1"), 2, "download with")


def test_the_tool_folder_is_a_file(machine: Machine, mirror: Mirror) -> None:
    """What holds for root too, who may write to every folder."""
    machine.tool_dir.write_text("")
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    machine.refused(machine.run("--version", "0.12.1"), 2, str(machine.tool_dir), "UV_ACTIONS_TOOL_DIR")
    assert machine.tool_dir.read_text() == ""


def test_a_tool_folder_without_the_right_to_write(machine: Machine, mirror: Mirror) -> None:
    machine.tool_dir.mkdir()
    machine.tool_dir.chmod(0o555)
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    # Root may write everywhere; for it, the tools say what the file system would say to others.
    for tool in ("mkdir", "mktemp"):
        script(
            machine.bin / tool,
            f'[ -w "{machine.tool_dir}/.." ] && [ "$(id -u)" != 0 ] && exec {find(tool)} "$@"; exit 1',
        )
    script(machine.bin / "id", f'exec {find("id")} "$@"')
    machine.refused(machine.run("--version", "0.12.1"), 2, "no right to", "UV_ACTIONS_TOOL_DIR")


@pytest.mark.parametrize("downloader", DOWNLOADERS)
def test_a_full_disk(machine: Machine, mirror: Mirror, downloader: str) -> None:
    """A limit on the size of files stands for the full disk: writing fails in the middle of the wheel."""
    machine.only_downloader(downloader)
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    result = subprocess.run(
        ["sh", "-c", 'ulimit -f 40; exec "$@"', "sh", find("dash"), INSTALLER, "--version", "0.12.1"],
        env=machine.env(),
        cwd=machine.project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    machine.refused(result, 2, "no space left", "free some space")


def test_the_disk_is_full_when_the_wheel_is_unpacked(machine: Machine, mirror: Mirror) -> None:
    script(machine.bin / "unzip", "exit 50")
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    machine.refused(machine.run("--version", "0.12.1"), 2, "no space left")


def test_neither_home_nor_tool_folder(machine: Machine) -> None:
    machine.know_versions("0.12.1")
    result = machine.run("--version", "0.12.1", HOME="", UV_ACTIONS_TOOL_DIR="", RUNNER_TOOL_CACHE="")
    machine.refused(result, 2, "HOME", "UV_ACTIONS_TOOL_DIR")


def test_a_job_that_is_cancelled_leaves_nothing(machine: Machine, mirror: Mirror) -> None:
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    mirror.faults["wheel"] = "hang"
    process = subprocess.Popen(
        [find("dash"), INSTALLER, "--version", "0.12.1"],
        env=machine.env(UV_HTTP_TIMEOUT="30"),
        cwd=machine.project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = time.monotonic() + 20
    while not mirror.wheel_requests() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert machine.left() != []
    os.killpg(process.pid, 15)
    stdout, _ = process.communicate(timeout=10)
    assert (process.returncode, stdout) == (143, b"")
    assert machine.left() == []


# ----------------------------------------------------------------------------------------------------------------------
# Wrong options


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--colour"], "--colour"),
        (["--version"], "needs a value"),
        (["--colour=red"], "--colour"),
        (["--fresh=yes"], "--fresh"),
        (["extra"], "extra"),
        (["--index-url", "ftp://host/simple"], "ftp://host"),
        (["--index-url", "https://host/a b"], "not an http"),
        (["--index-url", "https://host/$(id)\n"], "not an http"),
        (["--fresh", "--print-path"], "--print-path"),
        (["--project", "nowhere"], "nowhere"),
        (["--versions-file", "nowhere.tsv", "--version", ">=0.9"], "nowhere.tsv"),
    ],
)
def test_wrong_options(machine: Machine, options: list[str], word: str, shell: str) -> None:
    machine.know_versions("0.12.1")
    machine.refused(machine.run(*options, shell=shell), 2, word)


def test_fresh_in_the_environment_is_true_or_false(machine: Machine) -> None:
    machine.know_versions("0.12.1")
    machine.refused(machine.run(UV_ACTIONS_UV_FRESH="yes"), 2, "`yes`", "UV_ACTIONS_UV_FRESH")


@pytest.mark.parametrize(
    "version",
    ["latest", "v0.13.9", "0.13", "0.13.9.1", "0.13.x", "0.013.9", "../evil", "0.13.9\n0.12.1", "$(id)", "0.13.9 ; id"],
)
def test_malformed_version(machine: Machine, version: str, shell: str) -> None:
    machine.know_versions("0.12.1")
    machine.refused(machine.run("--version", version, shell=shell), 2, "neither a version nor a range", "0.13.9")


@pytest.mark.parametrize(
    "version", [">=", "~=1", ">=0.9,,<1", ">=0.9,", "=>0.9", ">=0.9.*", "==*", ">=a", "!0.9", "==0.1.2.3"]
)
def test_malformed_range(machine: Machine, version: str, shell: str) -> None:
    machine.know_versions("0.12.1")
    machine.refused(machine.run("--version", version, shell=shell), 2, "not a range that can be read")


def test_help_tells_every_option_and_variable(machine: Machine, shell: str) -> None:
    result = machine.run("--help", shell=shell)
    assert (result.returncode, result.stderr) == (0, "")
    text = INSTALLER.read_text()
    for option in re.findall(r"--[a-z-]+(?=\))", text):
        assert option in result.stdout
    for variable in re.findall(r"\$\{(UV_ACTIONS_[A-Z_]+)", text):
        assert variable in result.stdout


# ----------------------------------------------------------------------------------------------------------------------
# Which version


def chosen(machine: Machine, *options: str, shell: str = "dash", **env: str) -> str:
    """The version that a run decides for, seen in what it would print the path of."""
    result = machine.run("--print-path", *options, shell=shell, **env)
    assert result.returncode == 2, result.stdout
    found = re.search(r"error: uv (\S+) is not installed", result.stderr)
    assert found, result.stderr
    return found[1]


@pytest.mark.parametrize(
    ("wanted", "version"),
    [
        (">=0.9,<0.13", "0.12.10"),
        ("==0.13.*", "0.13.9"),
        ("~=0.12", "0.13.9"),
        ("~=0.12.1", "0.12.10"),
        ("==0.12.2", "0.12.2"),
        ("=== 0.12.2", "0.12.2"),
        ("==0.12", "0.12.0"),
        (">0.12", "0.13.9"),
        (">0.12.2,<0.13.0", "0.12.10"),
        ("<=0.12.2", "0.12.2"),
        ("<0.12.2", "0.12.1"),
        (">=0.12, !=0.13.*", "0.12.10"),
        ("!=0.13.9", "0.12.10"),
        ("== 0.9.*", "0.9.30"),
        ("<1", "0.13.9"),
    ],
)
def test_ranges_take_the_newest_known_version_inside(machine: Machine, wanted: str, version: str, shell: str) -> None:
    machine.know_versions("0.9.4", "0.9.30", "0.12.0", "0.12.1", "0.12.2", "0.12.10", "0.13.9")
    assert chosen(machine, "--version", wanted, shell=shell) == version


def test_a_range_that_nothing_known_satisfies(machine: Machine, shell: str) -> None:
    machine.know_versions("0.12.1")
    machine.refused(machine.run("--version", ">=0.14", shell=shell), 2, ">=0.14", "widen the range")


PYPROJECT = '[project]\nname = "app"\n'


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({"uv.toml": 'required-version = "==0.12.1"'}, "0.12.1"),
        ({"uv.toml": "required-version = '==0.12.1'  # the one"}, "0.12.1"),
        ({"uv.toml": '\ufeffrequired-version="0.12.1"\r\n'}, "0.12.1"),
        ({"pyproject.toml": PYPROJECT + '[tool.uv]\nrequired-version = ">=0.12,<0.13"\n'}, "0.12.2"),
        ({"pyproject.toml": PYPROJECT + '[ tool . "uv" ]\n"required-version" = ">=0.12,<0.13"\n'}, "0.12.2"),
        ({"pyproject.toml": PYPROJECT + '[tool]\nuv.required-version = "0.12.1"\n'}, "0.12.1"),
        ({"pyproject.toml": 'tool.uv.required-version = "0.12.1"\n'}, "0.12.1"),
        # Not where uv looks for it:
        ({"pyproject.toml": 'required-version = "0.12.1"\n[tool.uv]\n'}, DEFAULT_VERSION),
        ({"pyproject.toml": '[tool.uvx]\nrequired-version = "0.12.1"\n'}, DEFAULT_VERSION),
        ({"pyproject.toml": '[tool.uv]\n# required-version = "0.12.1"\n'}, DEFAULT_VERSION),
        ({"pyproject.toml": '[tool.uv.pip]\nrequired-version = "0.12.1"\n'}, DEFAULT_VERSION),
        (
            {"pyproject.toml": '[project]\ndescription = """\n[tool.uv]\nrequired-version = "0.12.1"\n"""\n'},
            DEFAULT_VERSION,
        ),
        # After things that a line-based reader could stumble over:
        (
            {
                "pyproject.toml": "[tool.uv]\n"
                'constraint-dependencies = [\n  "a[b]>1",  # ]\n]\n'
                'conflicts = [\n  [\n    { extra = "a" },\n  ],\n]\n'
                "note = '''x'''\n"
                'required-version = "0.12.1"\n'
            },
            "0.12.1",
        ),
        # uv.toml before pyproject.toml, as uv itself does:
        (
            {"uv.toml": 'required-version = "0.12.1"', "pyproject.toml": '[tool.uv]\nrequired-version = "0.12.2"'},
            "0.12.1",
        ),
        ({"uv.toml": "offline = false", "pyproject.toml": '[tool.uv]\nrequired-version = "0.12.2"'}, "0.12.2"),
        ({}, DEFAULT_VERSION),
    ],
)
def test_required_version(machine: Machine, files: dict[str, str], version: str, shell: str) -> None:
    machine.know_versions("0.12.1", "0.12.2", "0.13.0")
    for name, text in files.items():
        (machine.project / name).write_bytes(text.encode())
    assert chosen(machine, shell=shell) == version


def test_required_version_is_looked_for_up_to_the_root_of_the_workspace(machine: Machine) -> None:
    machine.know_versions("0.12.1", "0.12.2", "0.12.3")
    member = machine.project / "packages" / "a b"
    member.mkdir(parents=True)
    (member / "pyproject.toml").write_text(PYPROJECT)
    (machine.project / "uv.toml").write_text('required-version = "0.12.1"\n')
    assert chosen(machine, "--project", str(member)) == "0.12.1"
    assert chosen(machine, UV_ACTIONS_UV_PROJECT="packages/a b") == "0.12.1"

    workspace = machine.project / "packages" / "pyproject.toml"
    workspace.write_text('[tool.uv]\nrequired-version = "0.12.2"\n[tool.uv.workspace]\nmembers = ["*"]\n')
    assert chosen(machine, "--project", str(member)) == "0.12.2"
    workspace.write_text('[tool.uv.workspace]\nmembers = ["*"]\n')
    assert chosen(machine, "--project", str(member)) == DEFAULT_VERSION
    workspace.write_text('[tool.uv]\nworkspace = { members = ["*"] }\n')
    assert chosen(machine, "--project", str(member)) == DEFAULT_VERSION

    (member / "uv.toml").write_text('required-version = "0.12.3"\n')
    assert chosen(machine, "--project", str(member)) == "0.12.3"
    assert chosen(machine, "--project", str(member), "--version", "0.12.1") == "0.12.1"


def test_required_version_outside_of_the_repository_is_not_ours(machine: Machine) -> None:
    machine.know_versions("0.12.1")
    (machine.root / "uv.toml").write_text('required-version = "0.12.1"\n')
    assert chosen(machine) == DEFAULT_VERSION


def test_wrong_required_version_names_its_file(machine: Machine) -> None:
    machine.know_versions("0.12.1")
    file = machine.project / "pyproject.toml"
    file.write_text('[tool.uv]\nrequired-version = "latest"\n')
    machine.refused(machine.run(), 2, str(file), "`latest`")
    file.write_text('[tool.uv]\nrequired-version = ">=0.50"\n')
    machine.refused(machine.run(), 2, str(file), ">=0.50")


def test_an_older_version_than_is_supported_is_installed_with_a_warning(machine: Machine, mirror: Mirror) -> None:
    machine.know(mirror.add("0.7.0"), index=mirror.url)
    result = machine.run("--version", "0.7.0")
    machine.installed(result)
    assert f"warning: uv 0.7.0 (option `version`) is older than {OLDEST_SUPPORTED}" in result.stderr


def test_the_oldest_supported_and_the_default_version_are_in_the_released_table() -> None:
    versions = {line.split("\t")[0] for line in (SCRIPTS / "uv_versions.tsv").read_text().splitlines()[1:]}
    assert {OLDEST_SUPPORTED, DEFAULT_VERSION, "0.7.0"} <= versions


# ----------------------------------------------------------------------------------------------------------------------
# What is installed already


@pytest.mark.parametrize("version", [DEFAULT_VERSION, OLDEST_SUPPORTED, "1.0.0"])
def test_a_uv_on_path_that_is_new_enough_is_taken(machine: Machine, version: str, shell: str) -> None:
    folder = fake_uv(machine.root / "my bin", version)
    result = machine.run(shell=shell, PATH=f"{folder}:{machine.bin}")
    assert machine.installed(result) == folder
    assert result.stderr == ""
    assert not machine.tool_dir.exists()


@pytest.mark.parametrize("version", ["0.8.17", "0.7.22", "nonsense", ""])
def test_a_uv_on_path_that_is_too_old_or_broken_is_not(machine: Machine, mirror: Mirror, version: str) -> None:
    folder = fake_uv(machine.root / "my bin", version)
    machine.know(mirror.add(DEFAULT_VERSION), index=mirror.url)
    assert machine.installed(machine.run(PATH=f"{folder}:{machine.bin}")).parent == machine.tool_dir


def test_a_uv_on_path_without_uvx_is_not_taken(machine: Machine, mirror: Mirror) -> None:
    folder = fake_uv(machine.root / "my bin", DEFAULT_VERSION)
    (folder / "uvx").unlink()
    machine.know(mirror.add(DEFAULT_VERSION), index=mirror.url)
    assert machine.installed(machine.run(PATH=f"{folder}:{machine.bin}")).parent == machine.tool_dir


def test_a_shim_on_path_is_not_taken(machine: Machine, mirror: Mirror) -> None:
    """What a version manager's shim starts depends on the folder it is started in."""
    folder = fake_uv(machine.root / ".pyenv" / "shims", DEFAULT_VERSION)
    machine.know(mirror.add(DEFAULT_VERSION), index=mirror.url)
    assert machine.installed(machine.run(PATH=f"{folder}:{machine.bin}")).parent == machine.tool_dir


def test_the_uv_on_path_is_taken_if_it_is_the_version_that_is_asked_for(machine: Machine, mirror: Mirror) -> None:
    folder = fake_uv(machine.root / "my bin", "0.12.1")
    path = f"{folder}:{machine.bin}"
    machine.know(mirror.add("0.12.1"), mirror.add("0.12.2"), index=mirror.url)
    assert machine.installed(machine.run("--version", "0.12.1", PATH=path)) == folder
    assert machine.installed(machine.run("--version", "<0.12.2", PATH=path)) == folder
    assert mirror.requests == []
    assert machine.installed(machine.run("--version", ">=0.12.1", PATH=path)).name.startswith("0.12.2-")


def test_an_installed_version_needs_no_network_and_no_table(machine: Machine, mirror: Mirror, shell: str) -> None:
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    folder = machine.installed(machine.run("--version", "0.12.1"))
    asked = len(mirror.requests)
    machine.versions_file.unlink()
    result = machine.run("--version", "0.12.1", shell=shell)
    assert machine.installed(result) == folder
    assert result.stderr == ""
    assert len(mirror.requests) == asked


def test_an_incomplete_folder_is_replaced(machine: Machine, mirror: Mirror) -> None:
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    folder = machine.installed(machine.run("--version", "0.12.1"))
    (folder / "uv").write_text("")
    machine.installed(machine.run("--version", "0.12.1"))
    assert machine.left() == [folder.name, f"{folder.name}/uv", f"{folder.name}/uvx"]
    assert (folder / "uv").stat().st_size > 0


def test_print_path(machine: Machine, mirror: Mirror) -> None:
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    machine.refused(machine.run("--print-path", "--version", "0.12.1"), 2, "not installed")
    assert mirror.requests == []
    folder = machine.installed(machine.run("--version", "0.12.1"))
    assert machine.installed(machine.run("--print-path", "--version", "0.12.1")) == folder


def test_fresh_takes_nothing_that_is_installed(machine: Machine, mirror: Mirror, shell: str) -> None:
    machine.know(mirror.add(DEFAULT_VERSION), index=mirror.url)
    shared = machine.installed(machine.run())
    (shared / "uv").write_text("#!/bin/sh\necho a stranger's\n")
    path = f"{fake_uv(machine.root / 'my bin', DEFAULT_VERSION)}:{machine.bin}"
    temporary = machine.root / "runner temp"
    temporary.mkdir()
    found = [
        machine.installed(machine.run("--fresh", shell=shell, PATH=path)),
        machine.installed(machine.run(PATH=path, UV_ACTIONS_UV_FRESH="true")),
        machine.installed(machine.run("--fresh", PATH=path, UV_ACTIONS_TOOL_DIR="", RUNNER_TEMP=str(temporary))),
        machine.installed(
            machine.run("--fresh", PATH=path, UV_ACTIONS_TOOL_DIR="", UV_ACTIONS_TEMP=str(temporary), TMPDIR="/nowhere")
        ),
        machine.installed(machine.run("--fresh", PATH=path, UV_ACTIONS_TOOL_DIR="", TMPDIR=str(temporary))),
    ]
    assert len({*found, shared}) == 6
    assert [folder.parent for folder in found] == [machine.tool_dir] * 2 + [temporary] * 3
    for folder in found:
        assert "from the wheel" in (folder / "uv").read_text()
        assert folder.stat().st_mode & 0o777 == 0o700


def test_fresh_that_fails_leaves_nothing(machine: Machine, mirror: Mirror) -> None:
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    mirror.faults["wheel"] = "wrong-hash"
    machine.refused(machine.run("--fresh", "--version", "0.12.1"), 3)


@pytest.mark.parametrize(
    ("env", "folder"),
    [
        ({"RUNNER_TOOL_CACHE": "{root}/hosted"}, "hosted/uv-actions/uv"),
        ({"XDG_CACHE_HOME": "{root}/xdg"}, "xdg/uv-actions/uv"),
        ({}, "home/.cache/uv-actions/uv"),
    ],
)
def test_default_tool_folder(machine: Machine, mirror: Mirror, env: dict[str, str], folder: str) -> None:
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    env = {name: value.format(root=machine.root) for name, value in env.items()}
    found = machine.installed(machine.run("--version", "0.12.1", UV_ACTIONS_TOOL_DIR="", **env))
    assert found.parent == machine.root / folder


def test_a_relative_tool_folder_is_printed_absolute(machine: Machine, mirror: Mirror) -> None:
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    found = machine.installed(machine.run("--version", "0.12.1", "--tool-dir", "tools/"))
    assert found.parent == machine.project / "tools"


def test_parallel_calls_on_one_empty_tool_folder(machine: Machine, mirror: Mirror) -> None:
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    shells = [*SHELLS] * 6
    with concurrent.futures.ThreadPoolExecutor(len(shells)) as pool:
        results = list(
            pool.map(lambda shell: machine.run("--version", "0.12.1", shell=shell, UV_HTTP_TIMEOUT="20"), shells)
        )
    assert len({machine.installed(result) for result in results}) == 1
    folder = machine.installed(results[0])
    assert machine.left() == [folder.name, f"{folder.name}/uv", f"{folder.name}/uvx"]
    assert "from the wheel" in (folder / "uv").read_text()


def test_a_job_that_was_faster_wins(machine: Machine, mirror: Mirror) -> None:
    """The other job's folder appears just before ours is moved into place."""
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    target = machine.tool_dir / f"0.12.1-linux-{MACHINE}-glibc"
    other = fake_uv(machine.root / "other", "0.12.1")
    script(machine.bin / "mv", f'cp -R "{other}" "{target}"; exec {find("mv")} "$@"')
    assert machine.installed(machine.run("--version", "0.12.1")) == target
    assert machine.left() == [target.name, f"{target.name}/uv", f"{target.name}/uvx"]
    assert "stand-in" in (target / "uv").read_text()


@pytest.mark.parametrize("where", ["path", "tool folder"])
def test_an_installed_uv_costs_little_time(machine: Machine, where: str) -> None:
    """60 ms at most, counted as time of the processor, since the machine may be busy with other tests."""
    machine.versions_file = SCRIPTS / "uv_versions.tsv"
    (machine.project / "pyproject.toml").write_text(
        PYPROJECT + "dependencies = [\n" + '  "requests>=2",\n' * 300 + ']\n[tool.uv]\nrequired-version = "==0.12.1"\n'
    )
    path = str(machine.bin)
    if where == "path":
        path = f"{fake_uv(machine.root / 'my bin', '0.12.1')}:{path}"
    else:
        fake_uv(machine.tool_dir / f"0.12.1-linux-{MACHINE}-glibc", "0.12.1")
    path = f"{path}:{os.environ['PATH']}"
    shutil.rmtree(machine.bin)
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        machine.installed(machine.run(PATH=path))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.06


# ----------------------------------------------------------------------------------------------------------------------
# A local file


def test_a_local_file(machine: Machine, shell: str) -> None:
    wheel = build_wheel(machine.root / "my wheels", "0.12.1")
    machine.know(wheel)
    machine.take_away("curl")
    assert machine.installed(machine.run("--file", wheel, shell=shell)).name.startswith("0.12.1-")
    assert machine.installed(machine.run(UV_ACTIONS_UV_FILE=str(wheel), UV_ACTIONS_UV_VERSION="0.12.1"))


def test_a_local_file_of_an_unknown_version(machine: Machine) -> None:
    wheel = build_wheel(machine.root, "0.99.0")
    machine.know_versions("0.12.1")
    machine.refused(machine.run("--file", wheel), 2, "--checksum")
    machine.refused(machine.run("--file", wheel, "--checksum", "0" * 64), 3, sha256(wheel))
    machine.installed(machine.run("--file", wheel, "--checksum", sha256(wheel)))


def test_wrong_local_files(machine: Machine) -> None:
    wheel = build_wheel(machine.root, "0.12.1")
    machine.know(wheel)
    machine.refused(machine.run("--file", machine.root / "uv-0.12.1-py3-none-win32.whl"), 2, "doesn't exist")
    other = build_wheel(machine.root, "0.12.1", "win_amd64")
    machine.refused(machine.run("--file", other), 2, "doesn't run on linux")
    machine.refused(machine.run("--file", wheel, "--version", "0.12.2"), 2, "0.12.2 is asked for")
    renamed = wheel.rename(machine.root / "uv.whl")
    machine.refused(machine.run("--file", renamed), 2, "not named as a wheel")
    wheel.write_bytes(renamed.read_bytes() + b"more")
    machine.refused(machine.run("--file", wheel), 3, sha256(wheel))


# ----------------------------------------------------------------------------------------------------------------------
# Which platform

REAL_TAGS = sorted(
    {
        line.split("\t")[1]
        for line in (SCRIPTS / "uv_versions.tsv").read_text().splitlines()
        if f"{DEFAULT_VERSION}\t" in line
    }
)


def loaded_by(machine: Machine, loader: str) -> None:
    """Gives the machine a /bin/sh that is loaded by this loader: `head` reads another file instead."""
    file = machine.root / "sh.elf"
    file.write_bytes(b"\x7fELF\x02\x01\x01" + b"\0" * 560 + loader.encode() + b"\0\x04\0\0GNU\0" + b"\xff" * 5000)
    script(
        machine.bin / "head",
        f'for last; do :; done; [ "$last" != /bin/sh ] || set -- -c 4096 "{file}"; exec {find("head")} "$@"',
    )


X86_64 = "manylinux_2_17_x86_64.manylinux2014_x86_64"
I686 = "manylinux_2_17_i686.manylinux2014_i686"
AARCH64_STATIC = "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64"
ARMV7L = "manylinux_2_17_armv7l.manylinux2014_armv7l"
ARMV7L_STATIC = f"{ARMV7L}.musllinux_1_1_armv7l"
LINUX = [
    # machine of the kernel, loader of /bin/sh, glibc, platform, tag
    ("x86_64", "/lib64/ld-linux-x86-64.so.2", "2.36", "linux-x86_64-glibc", X86_64),
    ("x86_64", "/lib/ld-musl-x86_64.so.1", "", "linux-x86_64-musl", "musllinux_1_1_x86_64"),
    ("x86_64", "/nix/store/abc-glibc-2.40/lib/ld-linux-x86-64.so.2", "2.40", "linux-x86_64-glibc", X86_64),
    ("x86_64", "/lib64/ld-linux-x86-64.so.2", "2.12", "linux-x86_64-glibc", "musllinux_1_1_x86_64"),
    ("x86_64", "/lib/ld-linux.so.2", "2.36", "linux-i686-glibc", I686),
    ("x86_64", "/lib/ld-musl-i386.so.1", "", "linux-i686-musl", "musllinux_1_1_i686"),
    ("i586", "/lib/ld-linux.so.2", "2.36", "linux-i686-glibc", I686),
    ("aarch64", "/lib/ld-linux-aarch64.so.1", "2.36", "linux-aarch64-glibc", "manylinux_2_28_aarch64"),
    ("aarch64", "/lib/ld-linux-aarch64.so.1", "2.26", "linux-aarch64-glibc", AARCH64_STATIC),
    ("aarch64", "/lib/ld-musl-aarch64.so.1", "", "linux-aarch64-musl", AARCH64_STATIC),
    ("aarch64", "/lib/ld-linux-armhf.so.3", "2.36", "linux-armv7l-glibc", ARMV7L),
    ("armv8l", "/lib/ld-musl-armhf.so.1", "", "linux-armv7l-musl", ARMV7L_STATIC),
    ("armv6l", "/lib/ld-linux-armhf.so.3", "2.36", "linux-armv6l-glibc", "linux_armv6l"),
    ("ppc64le", "/lib64/ld64.so.2", "2.36", "linux-ppc64le-glibc", "manylinux_2_17_ppc64le.manylinux2014_ppc64le"),
    ("s390x", "/lib/ld64.so.1", "2.36", "linux-s390x-glibc", "manylinux_2_17_s390x.manylinux2014_s390x"),
    ("riscv64", "/lib/ld-linux-riscv64-lp64d.so.1", "2.39", "linux-riscv64-glibc", "manylinux_2_31_riscv64"),
    ("riscv64", "/lib/ld-musl-riscv64.so.1", "", "linux-riscv64-musl", "manylinux_2_31_riscv64.musllinux_1_1_riscv64"),
]


def know_the_real_tags(machine: Machine, mirror: Mirror, exe: str = "") -> None:
    machine.know(*(mirror.add("0.12.1", tag, exe=exe) for tag in REAL_TAGS), index=mirror.url)


@pytest.mark.parametrize(("kernel", "loader", "glibc", "name", "tag"), LINUX)
def test_linux(machine: Machine, mirror: Mirror, kernel: str, loader: str, glibc: str, name: str, tag: str) -> None:
    script(machine.bin / "uname", f"case $1 in -s) echo Linux ;; -m) echo {kernel} ;; esac")
    script(machine.bin / "getconf", f"echo glibc {glibc}" if glibc else "exit 1")
    loaded_by(machine, loader)
    know_the_real_tags(machine, mirror)
    folder = machine.installed(machine.run("--version", "0.12.1"))
    assert folder.name == f"0.12.1-{name}"
    assert f'for {tag}"' in (folder / "uv").read_text()


@pytest.mark.parametrize(
    ("loaders", "libc"),
    [
        ("/lib64/ld-linux-x86-64.so.2", "glibc"),
        ("/lib/ld-linux.so.2 /lib64/ld-linux-x86-64.so.2", "glibc"),
        ("", "musl"),
    ],
)
def test_a_static_shell(machine: Machine, mirror: Mirror, loaders: str, libc: str) -> None:
    """Then the loaders that are installed tell; without any only a static uv runs."""
    script(machine.bin / "uname", "case $1 in -s) echo Linux ;; -m) echo x86_64 ;; esac")
    loaded_by(machine, "no loader here")
    script(machine.bin / "ls", f'for loader in {loaders}; do echo "$loader"; done')
    know_the_real_tags(machine, mirror)
    assert machine.installed(machine.run("--version", "0.12.1")).name == f"0.12.1-linux-x86_64-{libc}"


def test_no_ldd_is_needed(machine: Machine, mirror: Mirror) -> None:
    script(machine.bin / "ldd", f'touch "{machine.root}/asked"')
    machine.know(mirror.add("0.12.1"), index=mirror.url)
    machine.installed(machine.run("--version", "0.12.1"))
    assert not (machine.root / "asked").exists()


@pytest.mark.parametrize(
    ("machine_name", "translated", "name", "tag"),
    [
        ("arm64", "", "macos-arm64", "macosx_11_0_arm64"),
        ("x86_64", "1", "macos-arm64", "macosx_11_0_arm64"),
        ("x86_64", "0", "macos-x86_64", "macosx_10_12_x86_64"),
        ("x86_64", "", "macos-x86_64", "macosx_10_12_x86_64"),
    ],
)
def test_macos(machine: Machine, mirror: Mirror, machine_name: str, translated: str, name: str, tag: str) -> None:
    script(machine.bin / "uname", f"case $1 in -s) echo Darwin ;; -m) echo {machine_name} ;; esac")
    script(machine.bin / "sysctl", f"[ -n '{translated}' ] && [ \"$2\" = sysctl.proc_translated ] && echo {translated}")
    know_the_real_tags(machine, mirror)
    folder = machine.installed(machine.run("--version", "0.12.1", UV_ACTIONS_TOOL_DIR=""))
    assert folder == machine.root / "home" / "Library" / "Caches" / "uv-actions" / "uv" / f"0.12.1-{name}"
    assert f'for {tag}"' in (folder / "uv").read_text()


@pytest.mark.parametrize(
    ("kernel", "env", "name", "tag"),
    [
        ("MINGW64_NT-10.0-20348", {"PROCESSOR_ARCHITECTURE": "AMD64"}, "windows-amd64", "win_amd64"),
        ("MSYS_NT-10.0-20348", {}, "windows-amd64", "win_amd64"),
        ("MINGW64_NT-10.0-26100-ARM64", {"PROCESSOR_ARCHITECTURE": "AMD64"}, "windows-arm64", "win_arm64"),
        ("MINGW64_NT-10.0-26100", {"PROCESSOR_ARCHITECTURE": "ARM64"}, "windows-arm64", "win_arm64"),
        (
            "MINGW32_NT-10.0-19045-WOW64",
            {"PROCESSOR_ARCHITECTURE": "x86", "PROCESSOR_ARCHITEW6432": "AMD64"},
            "windows-amd64",
            "win_amd64",
        ),
        ("MINGW32_NT-10.0-19045", {"PROCESSOR_ARCHITECTURE": "x86"}, "windows-32", "win32"),
    ],
)
def test_git_bash_on_windows(
    machine: Machine, mirror: Mirror, kernel: str, env: dict[str, str], name: str, tag: str, shell: str
) -> None:
    """Windows' own paths come in, a path that this sh can use goes out."""
    script(machine.bin / "uname", f"case $1 in -s) echo {kernel} ;; -m) echo x86_64 ;; esac")
    script(
        machine.bin / "cygpath",
        f"""[ "$1" = -u ] && printf '%s\\n' "$2" | sed 's#^[Dd]:#{machine.root}#' | tr '\\\\' /""",
    )
    know_the_real_tags(machine, mirror, exe=".exe")
    env |= {"UV_ACTIONS_TOOL_DIR": "", "RUNNER_TOOL_CACHE": "D:\\a\\_tool", "UV_ACTIONS_UV_PROJECT": "D:\\project"}
    (machine.project / "uv.toml").write_text('required-version = "==0.12.1"\r\n')
    result = machine.run(shell=shell, UV_ACTIONS_UV_VERSIONS_FILE="D:\\versions.tsv", **env)
    assert result.returncode == 0, result.stderr
    folder = machine.root / "a" / "_tool" / "uv-actions" / "uv" / f"0.12.1-{name}"
    assert result.stdout == f"{folder}\n"
    assert f'for {tag}"' in (folder / "uv.exe").read_text()
    assert (folder / "uvx.exe").exists()
    assert machine.run(shell=shell, **env).stdout == result.stdout


def test_windows_on_arm_takes_the_other_wheel_where_there_is_no_own(machine: Machine, mirror: Mirror) -> None:
    script(machine.bin / "uname", "case $1 in -s) echo MINGW64_NT-10.0-26100-ARM64 ;; -m) echo x86_64 ;; esac")
    machine.know(mirror.add("0.12.1", "win_amd64", exe=".exe"), index=mirror.url)
    assert machine.run("--version", "0.12.1").stdout == f"{machine.tool_dir}/0.12.1-windows-arm64\n"


@pytest.mark.parametrize(("kernel", "name"), [("FreeBSD", "amd64"), ("Linux", "loongarch64")])
def test_platforms_without_a_wheel(machine: Machine, mirror: Mirror, kernel: str, name: str) -> None:
    script(machine.bin / "uname", f"case $1 in -s) echo {kernel} ;; -m) echo {name} ;; esac")
    know_the_real_tags(machine, mirror)
    machine.refused(machine.run("--version", "0.12.1"), 2, "no wheel", "install uv yourself")


# ----------------------------------------------------------------------------------------------------------------------
# The script itself


def test_a_cut_script_runs_nothing(machine: Machine) -> None:
    """`main` is called on the last line: what a cut download leaves of the script defines functions at most."""
    lines = INSTALLER.read_text().splitlines(keepends=True)
    assert lines[-1] == 'main "$@"\n'
    cut = machine.root / "cut.sh"
    cut.write_text("".join(lines[:-1]))
    result = subprocess.run(
        [find("dash"), cut, "--version", "0.12.1"], env=machine.env(), capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_shellcheck_has_nothing_to_say() -> None:
    result = subprocess.run(["shellcheck", "-s", "sh", INSTALLER], capture_output=True, text=True, check=False)
    assert result.stdout == ""
    assert result.returncode == 0
