"""`lock_check` tells the state of each lock, what changed in a drifted one, and runs no code of the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lock_check
import pytest
from distributions import wheel
from engines.github import NETWORK_VARIABLES
from services.index import PASSWORD, USERNAME, Index

TOOL = Path(__file__).resolve().parents[1] / "scripts" / "lock_check.py"
UV = os.environ.get("UV") or shutil.which("uv") or "uv"
PYTHON = f">={sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Checked:
    """What one run of the tool said."""

    rc: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        assert self.stdout, self.stderr
        return json.loads(self.stdout)

    @property
    def states(self) -> dict[str, str]:
        return {each["path"]: each["state"] for each in self.json["locks"]}

    @property
    def finding(self) -> dict[str, Any]:
        (only,) = self.json["findings"]
        return only


@dataclass
class Checkout:
    """A git repository on a path with a space and an umlaut, on a machine whose only index is `index`."""

    root: Path
    index: Index
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def project(
        self, folder: str = ".", *, dependencies: tuple[str, ...] = (), more: str = "", default: bool = True
    ) -> None:
        """Writes a pyproject.toml; with `default` it names the index itself."""
        name = Path(folder).name.replace(" ", "-") or "app"
        text = f'[project]\nname = "{name}"\nversion = "1.0"\nrequires-python = "{PYTHON}"\n'
        text += f"dependencies = {json.dumps(list(dependencies))}\n{more}\n"
        if default:
            text += f'[[tool.uv.index]]\nname = "acme"\nurl = "{self.index.url}"\ndefault = true\n'
        self.write(f"{folder}/pyproject.toml", text)

    def uv(self, *arguments: str, folder: str = ".", **more: str) -> None:
        command, environment = [UV, *arguments], {**self.environment, **more}
        run = subprocess.run(
            command, cwd=self.root / folder, env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.root, env=self.environment, check=True, capture_output=True)

    def forget(self) -> None:
        """As on a new machine: nothing in uv's cache, and nothing asked of the index yet."""
        shutil.rmtree(Path(self.environment["UV_CACHE_DIR"]), ignore_errors=True)
        self.index.requests.clear()

    def check(self, *arguments: str, folder: str = ".", as_: str = "json", **more: str) -> Checked:
        command = [sys.executable, str(TOOL), "--format", as_, *arguments]
        environment = {**self.environment, **more}
        run = subprocess.run(
            command, cwd=self.root / folder, env=environment, capture_output=True, encoding="utf-8", check=False
        )
        assert "Traceback" not in run.stderr, run.stderr
        return Checked(run.returncode, run.stdout, run.stderr)


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """The environment of a CI job: the system's PATH, an own home and cache, and nothing of the caller's `UV_*`."""
    environment = {name: os.environ[name] for name in NETWORK_VARIABLES if name in os.environ}
    path = os.pathsep.join([str(Path(UV).resolve().parent), "/usr/local/bin", "/usr/bin", "/bin"])
    home = tmp_path / "home"
    home.mkdir()
    return environment | {
        "PATH": path,
        "HOME": str(home),
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_HTTP_RETRIES": "0",
        "NO_PROXY": "127.0.0.1",
    }


@pytest.fixture
def checkout(tmp_path: Path, index: Index, machine: dict[str, str]) -> Checkout:
    index.require_auth = False
    # uv then reads whole wheels: pypiserver's answer to HEAD has no length, with which uv can't read parts of one.
    index.fail("HEAD *", 405)
    for name in ("alpha", "beta"):
        for version in ("1.0", "1.1", "2.0"):
            index.add(wheel(tmp_path / "wheels", name, version))
    root = tmp_path / "my répo"
    root.mkdir()
    made = Checkout(root.resolve(), index, machine)
    made.git("init", "-q")
    return made


def locked(checkout: Checkout, *dependencies: str, folder: str = ".") -> Checkout:
    """The same checkout with a locked project."""
    checkout.project(folder, dependencies=dependencies)
    checkout.uv("lock", folder=folder)
    return checkout


# ---------------------------------------------------------------------------------------------------------------------
# States


def test_a_fresh_lock_is_confirmed_without_network_cache_and_credentials(checkout: Checkout) -> None:
    locked(checkout, "alpha")
    checkout.forget()
    checkout.index.require_auth = True
    checked = checkout.check()
    assert (checked.rc, checked.states, checked.json["findings"]) == (0, {"uv.lock": "fresh"}, [])
    assert checked.json["state"] == "fresh"
    assert checkout.index.requests == []


def test_a_drifted_lock_tells_what_changed_and_what_locking_would_do(checkout: Checkout) -> None:
    locked(checkout, "alpha<2", "beta<2")
    checkout.project(dependencies=("alpha>=2", "beta<1.1"), more="# the end")
    before = (checkout.root / "uv.lock").read_bytes()
    checked = checkout.check()
    assert checked.rc == 1
    (lock,) = checked.json["locks"]
    assert lock["state"] == "drifted"
    assert {(each["action"], each["name"], each["old"], each["new"]) for each in lock["changes"]["lock"]} == {
        ("upgrade", "alpha", "1.1", "2.0"),
        ("downgrade", "beta", "1.1", "1.0"),
    }
    assert [each["text"] for each in lock["changes"]["project"]] == [
        "`alpha>=2` is in dependencies, locked was `alpha<2`",
        "`beta<1.1` is in dependencies, locked was `beta<2`",
    ]
    assert (checked.finding["file"], checked.finding["line"], checked.finding["level"]) == (
        "pyproject.toml",
        5,
        "error",
    )
    assert checked.finding["fix"].startswith("uv lock")
    assert (checkout.root / "uv.lock").read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "text", "line"),
    [
        ("", 'optional-dependencies = {x = ["beta"]}', "`beta` was added to extra `x`", 6),
        ('optional-dependencies = {x = ["beta"]}', "", "`beta` was removed from extra `x`", 1),
        ("", '[dependency-groups]\ndev = [\n  "beta>1",\n]', "`beta>1` was added to group `dev`", 8),
        ("", '[dependency-groups]\nDev_Tools = ["Beta"]', "`beta` was added to group `dev-tools`", 7),
        (
            '[dependency-groups]\ndev = ["beta"]',
            '[dependency-groups]\nmore = ["alpha"]\ndev = ["beta", {include-group = "more"}]',
            "`alpha` was added to group `dev`",
            8,
        ),
    ],
    ids=["extra added", "extra removed", "group", "other spelling", "included group"],
)
def test_each_kind_of_change_is_found_on_its_line(checkout: Checkout, old: str, new: str, text: str, line: int) -> None:
    checkout.project(more=old)
    checkout.uv("lock")
    checkout.project(more=new)
    (lock,) = checkout.check().json["locks"]
    changes = {each["text"]: each["line"] for each in lock["changes"]["project"]}
    assert changes[text] == line


def test_a_version_or_python_changed_without_locking_is_a_drift(checkout: Checkout) -> None:
    locked(checkout, "alpha")
    file = checkout.root / "pyproject.toml"
    text = file.read_text().replace('"1.0"', '"1.1"').replace(PYTHON, f"{PYTHON},<4")
    file.write_text(text)
    (lock,) = checkout.check().json["locks"]
    assert [(each["text"], each["line"]) for each in lock["changes"]["project"]] == [
        ("version is 1.1, locked was 1.0", 3),
        (f"requires-python is `{PYTHON},<4`, locked was `{PYTHON}`", 4),
    ]


def test_without_credentials_a_drift_is_still_a_drift_and_the_difference_unavailable(checkout: Checkout) -> None:
    locked(checkout, "alpha")
    checkout.project(dependencies=("alpha", "beta"))
    checkout.forget()
    checkout.index.require_auth = True
    checked = checkout.check()
    (lock,) = checked.json["locks"]
    assert (checked.rc, lock["state"], lock["changes"]["lock"]) == (1, "drifted", [])
    assert "401" in lock["changes"]["unavailable"]
    assert "unavailable" in checked.finding["message"]

    given = {"UV_INDEX_ACME_USERNAME": USERNAME, "UV_INDEX_ACME_PASSWORD": PASSWORD}
    checked = checkout.check(**given)
    assert [each["name"] for each in checked.json["locks"][0]["changes"]["lock"]] == ["beta"]
    assert PASSWORD not in checked.stdout + checked.stderr


def test_requirements_that_nothing_satisfies_are_a_drift_with_uvs_reason(checkout: Checkout) -> None:
    locked(checkout, "alpha")
    checkout.project(dependencies=("alpha>9",))
    checked = checkout.check()
    assert checked.states == {"uv.lock": "drifted"}
    assert "alpha>9" in checked.finding["message"]


def test_a_project_without_a_lock_is_missing_only_where_it_is_named(checkout: Checkout) -> None:
    locked(checkout)
    checkout.project("lib")
    assert checkout.check().states == {"uv.lock": "fresh"}
    for checked in (
        checkout.check("--working-directory", "lib"),
        checkout.check(folder="lib"),
        checkout.check("--paths", ".", "--paths", "lib"),
        checkout.check("--paths", "lib/pyproject.toml", "--paths", "uv.lock"),
    ):
        assert (checked.rc, checked.states) == (1, {"lib/uv.lock": "missing", "uv.lock": "fresh"})
        assert (checked.finding["file"], checked.finding["fix"].split(",")[0]) == (
            "lib/pyproject.toml",
            "uv lock --directory lib",
        )


@pytest.mark.parametrize(
    ("content", "rule", "line"),
    [
        (b"version = 1\n<<<<<<< HEAD\nrevision = 1\n=======\nrevision = 3\n>>>>>>> main\n", "merge-markers", 2),
        (b"version = 2\nrevision = 0\n", "newer-schema", 1),
        (b"version = 1\nrevision = \n", "unreadable", 2),
        (b"\xff\xfe", "unreadable", 1),
        (b"", "unreadable", 1),
    ],
    ids=["merge", "schema", "toml", "bytes", "empty"],
)
def test_broken_locks_are_told_apart(checkout: Checkout, content: bytes, rule: str, line: int) -> None:
    locked(checkout, "alpha")
    (checkout.root / "uv.lock").write_bytes(content)
    checked = checkout.check()
    assert (checked.rc, checked.json["state"]) == (1, "broken")
    finding = checked.finding
    assert (finding["rule"], finding["file"], finding["line"], finding["level"]) == (rule, "uv.lock", line, "error")


def test_an_unreadable_pyproject_is_told_on_its_line(checkout: Checkout) -> None:
    locked(checkout)
    with (checkout.root / "pyproject.toml").open("a") as file:
        file.write("<<<<<<< HEAD\n")
    finding = checkout.check().finding
    line = len((checkout.root / "pyproject.toml").read_text().splitlines())
    assert (finding["rule"], finding["file"], finding["line"]) == ("project-unreadable", "pyproject.toml", line)


@pytest.mark.parametrize(
    "text",
    [
        "project = 1\n",
        "tool = 1\n",
        "[tool]\nuv = 1\n",
        '[project]\nname = "app"\nversion = 1\ndynamic = 1\ndependencies = 1\noptional-dependencies = 1\n',
        '[project]\nname = "app"\nversion = "1"\ndependencies = [1, "??"]\n',
        "[dependency-groups]\nx = 1\ny = [{include-group = 1}]\n",
        '[project]\nname = "app"\nversion = "1"\n[tool.uv]\nindex = [1]\nsources = {a = 1}\nworkspace = 1\n',
        '[project]\nname = "app"\nversion = "1"\n[tool.uv]\nworkspace = {members = 1}\ndependency-metadata = [1]\n',
    ],
)
def test_odd_shapes_are_uvs_to_judge_and_no_crash(checkout: Checkout, text: str) -> None:
    locked(checkout, "alpha")
    checkout.write("pyproject.toml", text)
    checked = checkout.check("--paths", "uv.lock")
    assert (checked.rc, checked.json["state"]) in {(1, "broken"), (1, "drifted"), (1, "needs-build")}


@pytest.mark.parametrize("text", ["package = 1", "[[package]]\nname = 1", "[manifest]\nrequirements = [1]"])
def test_odd_locks_are_no_crash(checkout: Checkout, text: str) -> None:
    locked(checkout, "alpha")
    checkout.write("uv.lock", f'version = 1\nrequires-python = "{PYTHON}"\n{text}\n')
    assert checkout.check().json["state"] in {"broken", "drifted"}


def test_another_required_uv_is_a_finding_of_its_own(checkout: Checkout) -> None:
    locked(checkout)
    checkout.write("uv.toml", f'index-url = "{checkout.index.url}"\nrequired-version = "==0.5.4"\n')
    checked = checkout.check()
    assert (checked.rc, checked.finding["rule"], checked.finding["file"]) == (1, "required-version", "uv.toml")
    assert "0.5.4" in checked.finding["message"]
    assert checked.finding["line"] == 2


def test_a_lock_that_nothing_uses_is_a_finding(checkout: Checkout) -> None:
    checkout.project(more='[tool.uv.workspace]\nmembers = ["libs/*"]\nexclude = ["libs/own"]')
    for name in ("libs/one", "libs/own"):
        checkout.project(name, default=False)
    checkout.uv("lock")
    checkout.uv("lock", folder="libs/own")
    for path in ("libs/one/uv.lock", "old/uv.lock"):
        checkout.write(path, (checkout.root / "uv.lock").read_text())
    checked = checkout.check()
    assert checked.states == {
        "libs/one/uv.lock": "broken",
        "libs/own/uv.lock": "fresh",
        "old/uv.lock": "broken",
        "uv.lock": "fresh",
    }
    assert {each["rule"] for each in checked.json["findings"]} == {"stray-lock"}
    assert "member of the workspace" in checked.json["findings"][0]["message"]


def test_a_member_stands_for_the_lock_of_its_workspace(checkout: Checkout) -> None:
    checkout.project(more='[tool.uv.workspace]\nmembers = ["libs/*"]')
    checkout.project("libs/one", default=False)
    assert checkout.check("--working-directory", "libs/one").states == {"uv.lock": "missing"}
    checkout.uv("lock")
    assert checkout.check("--paths", "libs/one").states == {"uv.lock": "fresh"}
    checkout.project("libs/one", dependencies=("alpha",), default=False)
    checked = checkout.check(folder="libs/one")
    assert (checked.states, checked.finding["file"]) == ({"uv.lock": "drifted"}, "libs/one/pyproject.toml")


def test_a_new_member_is_a_drift(checkout: Checkout) -> None:
    checkout.project(more='[tool.uv.workspace]\nmembers = ["libs/*"]')
    checkout.project("libs/one", default=False)
    checkout.uv("lock")
    checkout.project("libs/two", default=False)
    (lock,) = checkout.check().json["locks"]
    assert (lock["state"], [str(each["name"]) for each in lock["changes"]["lock"]]) == ("drifted", ["two"])


def test_scripts_with_locks(checkout: Checkout) -> None:
    block = f'# /// script\n# requires-python = "{PYTHON}"\n# dependencies = [\n#   "alpha<2",\n# ]\n# ///\n'
    index = {"UV_DEFAULT_INDEX": checkout.index.url}
    for name in ("tools/fresh.py", "tools/drifted.py", "tools/noext"):
        checkout.write(name, block)
        checkout.uv("lock", "--script", name, **index)
    checkout.write("tools/drifted.py", block.replace("<2", "<1.1"))
    checkout.write("tools/gone.py.lock", "version = 1\n")
    checkout.write("tools/plain.py", "print()\n")
    checkout.write("tools/plain.py.lock", "version = 1\n")
    checkout.write("poetry.lock", "")
    checkout.write("new.py", block)
    checked = checkout.check(**index)
    assert checked.states == {
        "tools/drifted.py.lock": "drifted",
        "tools/fresh.py.lock": "fresh",
        "tools/gone.py.lock": "broken",
        "tools/noext.lock": "fresh",
        "tools/plain.py.lock": "broken",
    }
    finding = checked.json["findings"][0]
    assert (finding["file"], finding["line"]) == ("tools/drifted.py", 4)
    assert "`alpha<1.1` is in dependencies, locked was `alpha<2`" in finding["message"]
    assert "downgrade alpha 1.1 → 1.0" in finding["message"]
    assert checkout.check("--paths", "new.py").states == {"new.py.lock": "missing"}

    locked(checkout)
    assert checkout.check("--no-scripts").states == {"uv.lock": "fresh"}
    assert checkout.check(UV_ACTIONS_LOCK_CHECK_SCRIPTS="false").states == {"uv.lock": "fresh"}


# ---------------------------------------------------------------------------------------------------------------------
# The machine's settings


def test_the_machines_own_index_is_no_drift(checkout: Checkout) -> None:
    checkout.project(dependencies=("alpha",), default=False)
    checkout.uv("lock", UV_DEFAULT_INDEX=checkout.index.url)
    checkout.forget()
    mirror, named = "http://ci:secret@127.0.0.1:9/simple/", "http://127.0.0.1:9/simple/"
    checked = checkout.check(UV_DEFAULT_INDEX=mirror)
    assert (checked.rc, checked.states) == (0, {"uv.lock": "index-mismatch"})
    assert checked.finding["level"] == "warning"
    assert checkout.index.url in checked.finding["message"]
    assert "secret" not in checked.stdout + checked.stderr
    assert checkout.index.requests == []
    assert checkout.check("--fail-on", "warning", UV_DEFAULT_INDEX=mirror).rc == 1
    assert checkout.check(UV_DEFAULT_INDEX=mirror, UV_ACTIONS_MIRROR=named).states == {"uv.lock": "fresh"}
    assert checkout.check("--mirror", named).states == {"uv.lock": "fresh"}


def test_an_index_in_the_users_own_settings_is_no_drift(checkout: Checkout) -> None:
    checkout.project(dependencies=("alpha",), default=False)
    checkout.uv("lock", UV_DEFAULT_INDEX=checkout.index.url)
    settings = Path(checkout.environment["HOME"], ".config/uv/uv.toml")
    settings.parent.mkdir(parents=True)
    settings.write_text('[[index]]\nurl = "http://127.0.0.1:9/simple/"\ndefault = true\n')
    assert checkout.check().states == {"uv.lock": "index-mismatch"}
    settings.write_text(f'[[index]]\nurl = "{checkout.index.url}"\ndefault = true\n')
    assert checkout.check().states == {"uv.lock": "fresh"}


def test_another_index_in_the_project_is_a_drift(checkout: Checkout) -> None:
    locked(checkout, "alpha")
    file = checkout.root / "pyproject.toml"
    file.write_text(file.read_text().replace(checkout.index.url, "http://127.0.0.1:9/simple/"))
    assert checkout.check().states == {"uv.lock": "drifted"}


def test_a_mirror_tells_the_difference_of_a_drifted_lock(checkout: Checkout) -> None:
    checkout.project(dependencies=("alpha",), default=False)
    checkout.uv("lock", UV_DEFAULT_INDEX=checkout.index.url)
    checkout.project(dependencies=("alpha", "beta"), default=False)
    (lock,) = checkout.check("--mirror", checkout.index.url).json["locks"]
    assert (lock["state"], [each["name"] for each in lock["changes"]["lock"]]) == ("drifted", ["beta"])


@pytest.mark.parametrize(
    "setting",
    [
        {"UV_FROZEN": "1"},
        {"UV_LOCKED": "1"},
        {"UV_FROZEN": "1", "UV_LOCKED": "1"},
        {"UV_NO_CACHE": "1"},
        {"UV_OFFLINE": "1"},
        {"UV_NO_BINARY": "1"},
        {"UV_NO_CONFIG": "1"},
        {"UV_PYTHON": "3.6"},
        {"UV_PROJECT": "/nowhere"},
        {"VIRTUAL_ENV": "/nowhere"},
        {"RUST_LOG": "debug"},
        {"UV_CACHE_DIR": "relative-cache"},
    ],
    ids=str,
)
def test_settings_of_the_job_do_not_change_the_verdict(checkout: Checkout, setting: dict[str, str]) -> None:
    locked(checkout, "alpha")
    assert checkout.check(**setting).states == {"uv.lock": "fresh"}
    checkout.project(dependencies=("beta",))
    assert checkout.check(**setting).states == {"uv.lock": "drifted"}


def test_without_a_python_that_fits_it_says_so(checkout: Checkout) -> None:
    checkout.write("pyproject.toml", '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.99"\n')
    local = '[[package]]\nname = "app"\nversion = "1"\nsource = { virtual = "." }\n'
    lock = checkout.write("uv.lock", f'version = 1\nrevision = 3\nrequires-python = ">=3.99"\n\n{local}')
    checked = checkout.check()
    assert (checked.rc, checked.finding["rule"]) == (1, "no-python")
    assert ">=3.99" in checked.finding["message"]
    lock.write_text(lock.read_text().replace("3.99", "3.98"))
    assert checkout.check().states == {"uv.lock": "drifted"}


def test_settings_that_change_locking_are_named(checkout: Checkout) -> None:
    locked(checkout, "alpha")
    checked = checkout.check(UV_RESOLUTION="lowest")
    assert checked.states == {"uv.lock": "drifted"}
    assert "UV_RESOLUTION" in checked.finding["message"]


def test_a_project_without_requires_python_is_judged_with_the_python_of_its_lock(checkout: Checkout) -> None:
    checkout.write("pyproject.toml", '[project]\nname = "app"\nversion = "1"\n')
    checkout.uv("lock")
    assert checkout.check().states == {"uv.lock": "fresh"}


# ---------------------------------------------------------------------------------------------------------------------
# No code of the checkout


def plant(checkout: Checkout) -> Callable[[], str]:
    """Puts programmes wherever a check of the checkout could run one; the result tells which ones ran."""
    ran = checkout.root.parent / "ran"
    shell = f"#!/bin/sh\necho \"$0 $*\" >> '{ran}'\nexec '{sys.executable}' \"$@\"\n"
    for name in (".venv/bin/python", ".venv/bin/python3", "evil", "bin/git", "bin/keyring", "bin/python3"):
        checkout.write(name, shell).chmod(0o755)
    checkout.write(".venv/pyvenv.cfg", f"home = {checkout.root}/.venv/bin\nversion = 3.12.0\n")
    checkout.write(".python-version", "./evil\n")
    checkout.write(
        "uv.toml", f'index-url = "{checkout.index.url}"\nkeyring-provider = "subprocess"\ncache-dir = "own"\n'
    )
    checkout.git("config", "core.fsmonitor", "./evil")
    checkout.git("config", "core.hooksPath", ".")
    python = f"import sys\nopen({str(ran)!r}, 'a').write(f'{{__file__}} {{sys.argv}}\\n')\n"
    checkout.write("setup.py", f"{python}from setuptools import setup\nsetup()\n")
    checkout.write("backend.py", f"{python}def prepare_metadata_for_build_editable(*_): raise SystemExit(1)\n")

    def has_run() -> str:
        return ran.read_text() if ran.exists() else ""

    return has_run


def in_tree(checkout: Checkout) -> dict[str, str]:
    """A job whose PATH begins in the checkout, as after activating an environment there."""
    path = os.pathsep.join([str(checkout.root / "bin"), "bin", ".", checkout.environment["PATH"]])
    return {"PATH": path, "UV_PYTHON": "./evil", "UV_CACHE_DIR": ""}


def test_a_check_runs_nothing_of_the_checkout(checkout: Checkout) -> None:
    locked(checkout, "alpha")
    has_run = plant(checkout)
    assert checkout.check(**in_tree(checkout)).states == {"uv.lock": "fresh"}
    checkout.project(dependencies=("beta",))
    checkout.index.require_auth = True
    assert checkout.check(**in_tree(checkout)).states == {"uv.lock": "drifted"}
    assert has_run() == ""
    assert not (checkout.root / "own").exists()


def test_no_python_comes_from_where_the_checkout_says(checkout: Checkout) -> None:
    local = '[[package]]\nname = "app"\nversion = "1"\nsource = { virtual = "." }\n'
    checkout.write("uv.lock", f'version = 1\nrevision = 3\nrequires-python = ">=3.99"\n\n{local}')
    pythons = f"{checkout.index.url}pythons.json"
    checkout.write(
        "pyproject.toml",
        '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.99"\n'
        f'[tool.uv]\npython-downloads-json-url = "{pythons}"\n',
    )
    assert checkout.check(UV_PYTHON_DOWNLOADS="automatic").finding["rule"] == "no-python"
    assert checkout.index.requests == []
    checkout.check(UV_PYTHON_DOWNLOADS="automatic", UV_PYTHON_DOWNLOADS_JSON_URL=pythons)
    assert checkout.index.requests[0].path == "/simple/pythons.json", "the caller's own does count"


def test_what_is_planted_does_run_elsewhere(checkout: Checkout) -> None:
    """Without this, the others here could pass because nothing could run."""
    locked(checkout, "alpha")
    has_run = plant(checkout)
    subprocess.run(
        [UV, "lock", "--check"], cwd=checkout.root, env=checkout.environment | {"UV_PYTHON": ""}, check=False
    )
    assert "evil" in has_run()


BACKEND = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def test_metadata_that_only_a_build_tells_is_not_built(checkout: Checkout) -> None:
    """uv itself builds editable packages in spite of `--no-build`."""
    checkout.write("pyproject.toml", f'[project]\nname = "app"\nversion = "1"\ndynamic = ["dependencies"]\n{BACKEND}')
    local = '[[package]]\nname = "app"\nversion = "1"\nsource = { editable = "." }\n'
    checkout.write("uv.lock", f'version = 1\nrevision = 3\nrequires-python = "{PYTHON}"\n\n{local}')
    has_run = plant(checkout)
    checked = checkout.check(**in_tree(checkout))
    assert (checked.rc, checked.states, checked.finding["line"]) == (1, {"uv.lock": "needs-build"}, 4)
    assert has_run() == ""


@pytest.mark.parametrize("editable", ["true", "false"])
def test_a_package_that_the_lock_does_not_know_yet_is_not_built(checkout: Checkout, editable: str) -> None:
    locked(checkout)
    has_run = plant(checkout)
    head = '[project]\nname = "lib"\nversion = "1"\ndynamic = ["dependencies"]\n'
    checkout.write("lib/pyproject.toml", head + BACKEND)
    shutil.copy(checkout.root / "backend.py", checkout.root / "lib/backend.py")
    source = f'[tool.uv.sources]\nlib = {{ path = "lib", editable = {editable} }}'
    checkout.project(dependencies=("lib",), more=source)
    assert checkout.check(**in_tree(checkout)).states == {"uv.lock": "drifted"}
    assert has_run() == ""


def test_a_build_is_run_when_it_is_allowed(checkout: Checkout, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    hooks = "".join(
        f"def {name}(folder, *_):\n    {body}\n"
        for name, body in {
            "get_requires_for_build_editable": "return []",
            "get_requires_for_build_wheel": "return []",
            "prepare_metadata_for_build_editable": "return metadata(folder)",
            "prepare_metadata_for_build_wheel": "return metadata(folder)",
        }.items()
    )
    checkout.write(
        "backend.py",
        f"import pathlib\npathlib.Path({str(ran)!r}).touch()\ndef metadata(folder):\n"
        "    info = pathlib.Path(folder, 'app-1.dist-info')\n    info.mkdir()\n"
        "    needs = pathlib.Path('needs.txt').read_text().strip()\n"
        "    text = f'Metadata-Version: 2.1\\nName: app\\nVersion: 1\\nRequires-Dist: {needs}\\n'\n"
        "    info.joinpath('METADATA').write_text(text)\n"
        f"    return info.name\n{hooks}",
    )
    checkout.write("needs.txt", "alpha")
    index = f'[[tool.uv.index]]\nurl = "{checkout.index.url}"\ndefault = true\n'
    head = f'[project]\nname = "app"\nversion = "1"\nrequires-python = "{PYTHON}"\ndynamic = ["dependencies"]\n'
    checkout.write("pyproject.toml", f'{head}{BACKEND}{index}[tool.uv]\ncache-keys = [{{ file = "needs.txt" }}]\n')
    checkout.uv("lock")
    ran.unlink()
    assert checkout.check().states == {"uv.lock": "needs-build"}
    assert not ran.exists()
    checkout.forget()
    assert checkout.check("--build").states == {"uv.lock": "fresh"}
    assert ran.exists()
    checkout.write("needs.txt", "beta")
    checked = checkout.check("--build")
    assert (checked.rc, checked.states) == (1, {"uv.lock": "drifted"})
    assert {str(each["name"]) for each in checked.json["locks"][0]["changes"]["lock"]} == {"alpha", "beta"}
    checkout.write("backend.py", "raise SystemExit('no such thing')\n")
    checkout.forget()
    checked = checkout.check("--build")
    assert (checked.rc, checked.states) == (1, {"uv.lock": "needs-build"})
    assert "failed" in checked.finding["message"]


# ---------------------------------------------------------------------------------------------------------------------
# Where it looks, and how it tells


def test_it_finds_what_git_knows_or_would_add(checkout: Checkout) -> None:
    for name in ("tracked", "new", "ignored"):
        locked(checkout, folder=name)
    checkout.write(".gitignore", "ignored/\n")
    checkout.git("add", "tracked")
    assert set(checkout.check().states) == {"tracked/uv.lock", "new/uv.lock"}
    (checkout.root / "tracked/uv.lock").unlink()
    assert set(checkout.check().states) == {"new/uv.lock"}


def test_it_finds_locks_without_git(checkout: Checkout) -> None:
    locked(checkout, folder="a")
    checkout.write("node_modules/x/uv.lock", "")
    checkout.write(".venv/uv.lock", "")
    shutil.rmtree(checkout.root / ".git")
    assert set(checkout.check().states) == {"a/uv.lock"}


def test_a_repository_that_git_refuses_is_walked(checkout: Checkout) -> None:
    locked(checkout, folder="a")
    (checkout.root / ".git/config").write_text("[broken\n")
    assert set(checkout.check().states) == {"a/uv.lock"}


@pytest.mark.parametrize(
    ("platform", "variable"),
    [
        ("github", "GITHUB_WORKSPACE"),
        ("gitlab", "CI_PROJECT_DIR"),
        ("jenkins", "WORKSPACE"),
        ("buildkite", "BUILDKITE_BUILD_CHECKOUT_PATH"),
    ],
)
def test_without_git_the_jobs_checkout_is_the_root(checkout: Checkout, platform: str, variable: str) -> None:
    locked(checkout, folder="a")
    shutil.rmtree(checkout.root / ".git")
    job = {"UV_ACTIONS_PLATFORM": platform, variable: str(checkout.root)}
    assert checkout.check(folder="a", **job).states == {"a/uv.lock": "fresh"}


def test_outputs_go_where_the_wrapper_wants_them(checkout: Checkout, tmp_path: Path) -> None:
    locked(checkout)
    output = tmp_path / "outputs.json"
    job = {"UV_ACTIONS_PLATFORM": "jenkins", "UV_ACTIONS_OUTPUT": str(output)}
    assert checkout.check(as_="sarif", **job).rc == 0
    assert json.loads(output.read_text()) == {"state": "fresh", "findings": "0"}


def test_a_files_name_is_data(checkout: Checkout) -> None:
    name = os.fsdecode(b"a\n::error::b\xff|`##[add-mask]c")
    locked(checkout, folder="x")
    (checkout.root / "x").rename(checkout.root / name)
    (checkout.root / name / "uv.lock").write_text("version = 2\n")
    summary = checkout.root.parent / "summary"
    summary.touch()
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    checked = checkout.check(as_="text", **github)
    assert checked.rc == 1
    assert not [line for line in checked.stdout.splitlines() if line.lstrip().startswith("::")]
    assert "##[" not in checked.stdout
    assert summary.read_text().splitlines()[-1] == r"| `a?::error::b\udcff??## [add-mask]c/uv.lock` | broken |"


def test_it_works_in_a_worktree(checkout: Checkout, tmp_path: Path) -> None:
    locked(checkout, folder="a")
    checkout.git("add", "-A")
    checkout.git("-c", "user.name=ci", "-c", "user.email=ci@example.org", "commit", "-qm", "c")
    checkout.git("worktree", "add", "-q", str(tmp_path / "tree"))
    elsewhere = Checkout(tmp_path / "tree", checkout.index, checkout.environment)
    assert elsewhere.check(folder="a").states == {"a/uv.lock": "fresh"}


def test_paths_restrict_and_leave_out(checkout: Checkout) -> None:
    for name in ("apps/one", "apps/two", "tests/broken"):
        checkout.project(name)
        checkout.write(f"{name}/uv.lock", "version = 2\n")
    for paths, expected in {
        "apps": {"apps/one/uv.lock", "apps/two/uv.lock"},
        "apps/o*": {"apps/one/uv.lock"},
        "apps/one\ntests/**/uv.lock": {"apps/one/uv.lock", "tests/broken/uv.lock"},
        "!tests": {"apps/one/uv.lock", "apps/two/uv.lock"},
        "!**/broken\n!apps/two": {"apps/one/uv.lock"},
    }.items():
        assert set(checkout.check(UV_ACTIONS_LOCK_CHECK_PATHS=paths).states) == expected, paths
    assert set(checkout.check("--paths", "two", folder="apps").states) == {"apps/two/uv.lock"}


def test_nothing_to_check_is_no_success(checkout: Checkout) -> None:
    checkout.write("pyproject.toml", "[tool.ruff]\n")
    checked = checkout.check()
    assert (checked.rc, checked.stdout) == (2, "")
    assert "nothing to check" in checked.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--working-directory", "nowhere"], "working-directory"),
        (["--paths", "nowhere"], "nowhere"),
        (["--paths", "no*where"], "no*where"),
        (["--paths", ".."], "outside"),
        (["--fail-on", "sometimes"], "sometimes"),
    ],
)
def test_wrong_use_names_the_option(checkout: Checkout, arguments: list[str], said: str) -> None:
    locked(checkout)
    checked = checkout.check(*arguments)
    assert (checked.rc, checked.stdout) == (2, "")
    assert said in checked.stderr


def test_fail_on_decides_the_exit_code_alone(checkout: Checkout) -> None:
    checkout.project()
    checked = checkout.check("--fail-on", "never")
    assert (checked.rc, checked.json["ok"], checked.json["state"]) == (0, True, "missing")
    assert checked.finding["level"] == "error"


def test_text_is_short_and_says_how_to_mend_it(checkout: Checkout) -> None:
    locked(checkout, "alpha")
    locked(checkout, folder="fine")
    checkout.project(dependencies=("alpha", "beta"))
    checked = checkout.check(as_="text")
    assert checked.stdout.splitlines() == [
        "fresh           fine/uv.lock",
        "drifted         uv.lock",
        "  - pyproject.toml:5: `beta` was added to dependencies",
        "  - locking would add beta 2.0",
        "  To mend it: uv lock, and commit the result",
    ]
    assert checked.stderr == ""


def test_sarif_names_the_place_and_the_step_gets_outputs(checkout: Checkout, tmp_path: Path) -> None:
    locked(checkout, "alpha", folder="my app")
    checkout.project("my app", dependencies=("alpha", "beta"))
    outputs, summary = tmp_path / "outputs", tmp_path / "summary"
    github = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(outputs), "GITHUB_STEP_SUMMARY": str(summary)}
    checked = checkout.check(folder="my app", as_="sarif", **github)
    (run,) = checked.json["runs"]
    (result,) = run["results"]
    place = result["locations"][0]["physicalLocation"]
    assert (result["ruleId"], place["region"]["startLine"]) == ("drifted", 5)
    assert place["artifactLocation"]["uri"].replace("%20", " ") == "my app/pyproject.toml"
    lines = outputs.read_text().splitlines()
    assert ("drifted" in lines, "1" in lines) == (True, True)
    assert "| `my app/uv.lock` | drifted |" in summary.read_text()


def test_many_locks_are_checked_at_once(checkout: Checkout) -> None:
    locked(checkout, "alpha", folder="app0")
    for number in range(1, 24):
        shutil.copytree(checkout.root / "app0", checkout.root / f"app{number}")
        file = checkout.root / f"app{number}/pyproject.toml"
        file.write_text(file.read_text().replace("app0", f"app{number}"))
    checked = checkout.check()
    assert len(checked.states) == 24
    assert checked.states["app0/uv.lock"] == "fresh"
    assert set(checked.states.values()) == {"fresh", "drifted"}


# ---------------------------------------------------------------------------------------------------------------------
# Decisions


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.9", "1.10"),
        ("1.0rc1", "1.0"),
        ("1.0a2", "1.0b1"),
        ("1.0", "1.0.post1"),
        ("1.0.dev1", "1.0a1"),
        ("2.0", "10"),
    ],
)
def test_versions_have_an_order(older: str, newer: str) -> None:
    assert lock_check.version_key(older) < lock_check.version_key(newer)
    assert lock_check.version_key("1.0") == lock_check.version_key("1.0.0")


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("libs/*", "libs/a", True),
        ("libs/*", "libs/a/b", False),
        ("libs/**", "libs/a/b", True),
        ("**/x", "x", True),
        ("**/x", "a/b/x", True),
        ("./libs/?", "libs/a", True),
        ("libs/[ab]", "libs/c", False),
        ("a.b", "axb", False),
    ],
)
def test_globs_mean_what_uv_means(pattern: str, path: str, matches: bool) -> None:
    assert bool(lock_check.as_regex(pattern).fullmatch(path)) is matches


@pytest.mark.parametrize(
    ("stated", "source", "locked_entry"),
    [
        ("A.b >= 1, <2", {}, {"name": "a-b", "specifier": ">=1,<2"}),
        ("a[x,Y]", {}, {"name": "a", "extras": ["y", "x"]}),
        (
            "a (>=1) ; python_version < '4'",
            {},
            {"name": "a", "specifier": ">=1", "marker": "python_full_version < '4'"},
        ),
        (
            "a>=1",
            {"a": {"git": "https://h.example/a", "tag": "v1"}},
            {"name": "a", "git": "https://h.example/a?tag=v1"},
        ),
        ("a @ git+https://h.example/a@v1", {}, {"name": "a", "git": "https://h.example/a?rev=v1"}),
        ("a @ https://h.example/a.whl", {}, {"name": "a", "url": "https://h.example/a.whl"}),
        ("a>=1", {"a": {"workspace": True}}, {"name": "a", "editable": "libs/a"}),
        ("a>=1", {"A": {"path": "../a"}}, {"name": "a", "directory": "../a"}),
        ("a>=1", {"a": {"index": "acme"}}, {"name": "a", "specifier": ">=1", "index": "https://i.example/simple"}),
    ],
)
def test_a_requirement_reads_the_same_in_project_and_lock(
    stated: str, source: dict[str, Any], locked_entry: dict[str, Any]
) -> None:
    stated_here = lock_check.of_project({"dependencies": [stated]}, source)
    assert stated_here == lock_check.of_lock({"dependencies": [locked_entry]})
