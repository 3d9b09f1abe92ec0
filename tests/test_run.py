"""`scripts/run`: a tool starts whatever its caller's settings are, sees them as they were, and fails in plain words."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributions import wheel
from services.index import PASSWORD, USERNAME, Index

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
UV = Path(os.environ.get("UV") or shutil.which("uv") or "uv").resolve()
PYTHON = Path(getattr(sys, "_base_executable", sys.executable))
SHELLS = ("dash", "busybox sh", "bash --posix")

# Every tool of these tests tells what it got.
METADATA = """\
# /// {script}
# requires-python = ">=3.10"
# dependencies = [{dependencies}]
{index}# ///
"""
BODY = '''\
"""Tells what it got.

Use when: the {name} smells odd.
"""
import json
import os
import sys

got = {{"arguments": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd(), "python": sys.executable,
        "process": os.getpid()}}
try:
    import smell
    got["smell"] = smell.STRENGTH
except ImportError:
    got["smell"] = None
json.dump(got, sys.stdout)
sys.exit(int(os.environ.get("END_WITH", "0")))
'''


class Machine:
    """A machine with uv and Python, an own home, and a copy of `scripts/` that holds the tools of a test."""

    def __init__(self, folder: Path, makers_cache: Path) -> None:
        self.folder = folder
        self.makers_cache = makers_cache
        self.scripts = folder / "a release" / "scripts"
        self.work = folder / "my project"
        self.cache = folder / "tools cache"
        self.home = folder / "home"
        for path in (self.scripts, self.work, self.home):
            path.mkdir(parents=True)
        for name in ("run", "install_uv.sh", "uv_versions.tsv"):
            if (SCRIPTS / name).exists():
                shutil.copy(SCRIPTS / name, self.scripts)
        self.environment = {
            "PATH": os.pathsep.join([str(UV.parent), str(PYTHON.parent), "/usr/bin", "/bin"]),
            "HOME": str(self.home),
            "UV_ACTIONS_TOOLS_CACHE": str(self.cache),
            # A refusal is told at once, not after three more tries.
            "UV_HTTP_RETRIES": "0",
            "UV_PYTHON_DOWNLOADS": "never",
        }

    def add_tool(self, name: str, *dependencies: str, index: str = "") -> Path:
        """Writes a tool and locks it; `index` is where its lock points to."""
        path = self.scripts / f"{name}.py"
        quoted = ", ".join(f'"{dependency}"' for dependency in dependencies)
        where = f'#\n# [[tool.uv.index]]\n# url = "{index}"\n# default = true\n' if index else ""
        path.write_text(METADATA.format(script="script", dependencies=quoted, index=where) + BODY.format(name=name))
        lock = [UV, "lock", "--quiet", "--no-config", "--refresh", "--script", path, "--python", PYTHON]
        subprocess.run(lock, check=True, env=self.environment | {"UV_CACHE_DIR": str(self.makers_cache)})
        return path

    def run(self, *arguments: str | Path, shell: str = "sh", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*shell.split(), self.scripts / "run", *arguments],
            env=self.environment | environment,
            cwd=self.work,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def got(self, *arguments: str | Path, shell: str = "sh", **environment: str) -> dict[str, Any]:
        """Runs a tool, which must succeed, and returns what it tells."""
        run = self.run(*arguments, shell=shell, **environment)
        assert run.returncode == 0, run.stderr
        assert run.stderr == ""
        return json.loads(run.stdout)

    def refused(self, code: int, *arguments: str | Path, **environment: str) -> str:
        """Runs a tool that must not start, with this exit code; returns the message, which says how to mend it."""
        run = self.run(*arguments, **environment)
        assert run.returncode == code, run.stderr
        assert run.stdout == ""
        lines = [line for line in run.stderr.splitlines() if not line.startswith("  uv: ")]
        assert len(lines) == 2, run.stderr
        assert lines[0].startswith("error: ")
        assert lines[1].startswith("  To mend it: ")
        return "\n".join(lines)

    def log_uv(self) -> Path:
        """Puts something in front of uv that notes each call's arguments, a line each; returns the notes' file."""
        log = self.folder / "uv calls"
        log.touch()
        self.fake_uv(f"""printf '%s\\n' "$*" >>'{log}'\nexec '{UV}' "$@"\n""")
        return log

    def fake_uv(self, body: str) -> None:
        """Lets the installer give a uv that is a shell script."""
        fake = self.folder / "fake bin" / "uv"
        fake.parent.mkdir(exist_ok=True)
        fake.write_text(f"#!/bin/sh\n{body}")
        fake.chmod(0o755)
        (self.scripts / "install_uv.sh").write_text(f"echo '{fake.parent}'\n")

    def environments_from_index(self) -> list[str]:
        return sorted(path.name for path in (self.cache / "from-index").iterdir())


@pytest.fixture(scope="session")
def makers_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("makers-cache")


@pytest.fixture
def machine(tmp_path: Path, makers_cache: Path) -> Machine:
    return Machine(tmp_path, makers_cache)


def answer_well(index: Index) -> None:
    """Lets an index answer everybody, without faults."""
    index.require_auth = False
    index.heal()


@pytest.fixture
def open_index(index: Index) -> Index:
    """An index without password that has two versions of the package `smell`."""
    answer_well(index)
    for version in ("1.0", "2.0"):
        # Of different lengths: Python knows a changed module by its time in seconds, or by its size.
        text = f"STRENGTH = {version!r}" + "\n" * int(version[0])
        index.add(wheel(index.packages.parent / "made", "smell", version, text))
    return index


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Index]:
    """Another index, without password, that has the same package in version 1.0."""
    with Index(tmp_path / "mirror") as index:
        answer_well(index)
        wheel(index.packages, "smell", "1.0", "STRENGTH = '1.0'\n")
        yield index


@pytest.fixture
def smelling(machine: Machine, open_index: Index) -> Machine:
    """A machine with a tool `nose`, which needs `smell` in version 1.0."""
    machine.add_tool("nose", "smell==1.0", index=open_index.url)
    return machine


@pytest.fixture
def cut_off(smelling: Machine, open_index: Index) -> Machine:
    """The same machine, where the index that the lock names is out of reach."""
    open_index.fail("*", 503)
    return smelling


# ---------------------------------------------------------------------------------------------------------------------
# The tool gets what the caller gave


@pytest.mark.parametrize("shell", SHELLS)
def test_arguments_exit_code_and_streams_are_the_tools(machine: Machine, shell: str) -> None:
    machine.add_tool("nose")
    arguments = ["--flag", "two words", "", "*", "line\nend", "$HOME `id` \"'\\", "--help", "-h"]
    for _ in ("first start", "warm start"):
        run = machine.run("nose", *arguments, shell=shell, END_WITH="7")
        assert run.returncode == 7, run.stderr
        assert run.stderr == ""
        assert json.loads(run.stdout)["arguments"] == arguments
        assert json.loads(run.stdout)["folder"] == str(machine.work)


def test_the_tool_becomes_the_process_so_no_uv_lives_beside_it(machine: Machine) -> None:
    machine.add_tool("nose")
    with subprocess.Popen(
        ["sh", machine.scripts / "run", "nose"], env=machine.environment, cwd=machine.work, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert json.load(process.stdout)["process"] == process.pid


def test_an_empty_cache_needs_no_download_for_a_tool_without_dependencies(machine: Machine) -> None:
    machine.add_tool("nose")
    machine.got("nose", UV_OFFLINE="1")


HOSTILE = {
    "UV_NO_CACHE": "1",
    "UV_FROZEN": "1",
    "UV_LOCKED": "1",
    "UV_NO_SYNC": "1",
    "UV_ISOLATED": "1",
    "UV_PYTHON": "3.99",
    "UV_MANAGED_PYTHON": "1",
    "UV_PYTHON_PREFERENCE": "only-managed",
    "UV_EXCLUDE_NEWER": "2001-01-01",
    "UV_RESOLUTION": "lowest",
    "UV_PRERELEASE": "allow",
    "UV_FORK_STRATEGY": "fewest",
    "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple",
    "UV_INDEX_URL": "http://127.0.0.1:9/simple",
    "UV_INDEX": "http://127.0.0.1:9/simple",
    "UV_FIND_LINKS": "/nowhere",
    "UV_NO_BINARY": "1",
    "UV_CONFIG_FILE": "/nowhere/uv.toml",
    "UV_PROJECT": "/nowhere",
    "UV_WORKING_DIR": "/nowhere",
    "UV_CACHE_DIR": "/dev/null/cache",
    "UV_PROJECT_ENVIRONMENT": "/nowhere/venv",
    "UV_ENV_FILE": "/nowhere/.env",
    "PYTHONHOME": "/nowhere",
    "PYTHONSAFEPATH": "1",
    "VIRTUAL_ENV": "/nowhere/venv",
}


@pytest.mark.parametrize("names", [*([name] for name in HOSTILE), ["UV_FROZEN", "UV_LOCKED"]], ids=" and ".join)
def test_it_starts_with_any_variable_of_the_caller_which_the_tool_sees(smelling: Machine, names: list[str]) -> None:
    given = {name: HOSTILE[name] for name in names}
    for _ in ("first start", "warm start"):
        got = smelling.got("nose", **given)
        assert got["smell"] == "1.0"
        expected = smelling.environment | given
        made_by_shells = {"PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}
        seen = {name: value for name, value in got["environment"].items() if name not in made_by_shells}
        uv_folder = seen.pop("UV_ACTIONS_BIN")
        assert (Path(uv_folder) / "uv").is_file()
        assert seen == expected | {"PATH": f"{uv_folder}:{expected['PATH']}"}


SETTINGS = [
    'required-version = "==0.8.99"',
    'exclude-newer = "2001-01-01T00:00:00Z"',
    'resolution = "lowest"',
    'prerelease = "allow"',
    'index = [{ url = "http://127.0.0.1:9/simple", default = true }]',
    "no-cache = true",
    'python-preference = "only-managed"',
    "colour = 'red",
]


@pytest.mark.parametrize("place", ["user", "uv.toml", "pyproject.toml"])
def test_it_starts_with_any_uv_setting_in_a_file(smelling: Machine, place: str) -> None:
    if place == "user":
        file = smelling.home / ".config" / "uv" / "uv.toml"
        file.parent.mkdir(parents=True)
    else:
        file = smelling.work / place
    head = '[project]\nname = "app"\nversion = "1"\n[tool.uv]\n' if place == "pyproject.toml" else ""
    for setting in SETTINGS:
        file.write_text(f"{head}{setting}\n")
        # The installer would bring the version that a project requires; here uv stays as it is.
        run = smelling.run("nose", UV_ACTIONS_UV_VERSION=uv_version())
        assert run.returncode == 0, f"{setting}: {run.stderr}"
        assert json.loads(run.stdout)["smell"] == "1.0"
        shutil.rmtree(smelling.cache)


def uv_version() -> str:
    return subprocess.run([UV, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]


def test_no_python_of_the_checkout_is_executed(machine: Machine) -> None:
    machine.add_tool("nose")
    trace = machine.folder / "executed"
    for name in ("python", "python3"):
        planted = machine.work / ".venv" / "bin" / name
        planted.parent.mkdir(parents=True, exist_ok=True)
        planted.write_text(f"#!/bin/sh\necho {name} >>'{trace}'\nexec '{PYTHON}' \"$@\"\n")
        planted.chmod(0o755)
    (machine.work / ".venv" / "pyvenv.cfg").write_text(f"home = {PYTHON.parent}\nversion = 3.13.0\n")
    (machine.work / ".python-version").write_text("./.venv/bin/python\n")
    machine.got("nose")
    assert not trace.exists()


def test_a_python_path_into_the_checkout_brings_no_module_of_it(machine: Machine) -> None:
    machine.add_tool("nose")
    (machine.work / "json.py").write_text("raise SystemExit('a module of the checkout has run')\n")
    assert machine.got("nose", PYTHONPATH=".")["environment"]["PYTHONPATH"] == "."


def test_nothing_is_written_beside_the_tool(smelling: Machine) -> None:
    def content() -> dict[Path, tuple[bytes, int]]:
        return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in smelling.scripts.iterdir()}

    before = content()
    smelling.got("nose")
    assert content() == before


@pytest.mark.parametrize("way", ["relative", "inside", "by PATH"])
def test_it_starts_from_any_folder(machine: Machine, way: str) -> None:
    machine.add_tool("nose")
    command, folder = {
        "relative": (["sh", "../a release/scripts/run"], machine.work),
        "inside": (["sh", "run"], machine.scripts),
        "by PATH": ([machine.scripts / "run"], machine.folder),
    }[way]
    run = subprocess.run(
        [*command, "nose"], env=machine.environment | {"CDPATH": "/usr:/"}, cwd=folder, capture_output=True
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["folder"] == str(folder)


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({"UV_ACTIONS_TOOLS_CACHE": "own cache"}, "my project/own cache"),
        ({"UV_ACTIONS_TOOLS_CACHE": "", "XDG_CACHE_HOME": "{folder}/xdg"}, "xdg/uv-actions/tools"),
        ({"UV_ACTIONS_TOOLS_CACHE": ""}, "home/.cache/uv-actions/tools"),
    ],
)
def test_environments_are_made_in_the_tools_own_cache(machine: Machine, variables: dict[str, str], place: str) -> None:
    machine.add_tool("nose")
    got = machine.got("nose", **{name: value.format(folder=machine.folder) for name, value in variables.items()})
    assert Path(got["python"]).is_relative_to(machine.folder / place)


# ---------------------------------------------------------------------------------------------------------------------
# Made once, and made anew when it has to be


def test_a_warm_start_calls_no_uv_and_is_quick(smelling: Machine) -> None:
    log = smelling.log_uv()
    smelling.got("nose")
    assert len(log.read_text().splitlines()) == 1
    seconds = []
    for _ in range(5):
        start = time.monotonic()
        smelling.got("nose")
        seconds.append(time.monotonic() - start)
    assert len(log.read_text().splitlines()) == 1
    assert min(seconds) < 0.2


def test_a_warm_start_needs_no_network(smelling: Machine, open_index: Index) -> None:
    smelling.got("nose")
    asked = len(open_index.requests)
    shutil.rmtree(smelling.cache / "ready")
    assert smelling.got("nose", UV_OFFLINE="1")["smell"] == "1.0"
    assert len(open_index.requests) == asked


def test_another_lock_at_the_same_place_counts_at_once(smelling: Machine, open_index: Index) -> None:
    tool = smelling.scripts / "nose.py"
    files = [tool, tool.with_name("nose.py.lock")]
    content = {"1.0": [file.read_bytes() for file in files]}
    smelling.add_tool("nose", "smell==2.0", index=open_index.url)
    content["2.0"] = [file.read_bytes() for file in files]
    for version in ("2.0", "1.0", "2.0"):
        for file, data in zip(files, content[version], strict=True):
            file.write_bytes(data)
            # As an unpacked archive has it: dates say nothing.
            os.utime(file, (1_700_000_000, 1_700_000_000))
        assert smelling.got("nose")["smell"] == version


def remove_environments(machine: Machine) -> None:
    for name in ("environments-v2", "from-index"):
        shutil.rmtree(machine.cache / name, ignore_errors=True)


def cut_the_note(machine: Machine) -> None:
    (note,) = machine.cache.rglob("nose.note")
    note.write_text(note.read_text()[:20])


def empty_the_note(machine: Machine) -> None:
    (note,) = machine.cache.rglob("nose.note")
    note.write_text("")


def take_the_interpreter_away(machine: Machine) -> None:
    for environment in machine.cache.glob("environments-v2/nose-*"):
        python = environment / "bin" / "python"
        python.unlink()
        python.symlink_to(machine.folder / "gone")


@pytest.mark.parametrize("harm", [remove_environments, cut_the_note, empty_the_note, take_the_interpreter_away])
def test_a_damaged_cache_is_mended(smelling: Machine, harm: Callable[[Machine], None]) -> None:
    smelling.got("nose")
    harm(smelling)
    assert smelling.got("nose")["smell"] == "1.0"


def test_another_interpreter_behind_the_environments_link_is_seen(machine: Machine) -> None:
    machine.add_tool("nose")
    log = machine.log_uv()
    python = Path(machine.got("nose")["python"])
    copy = machine.folder / "python3"
    copy.write_text(f"#!/bin/sh\nexec '{PYTHON}' \"$@\"\n")
    copy.chmod(0o755)
    python.unlink()
    python.symlink_to(copy)
    machine.run("nose")
    assert len(log.read_text().splitlines()) == 2


@pytest.mark.parametrize("source", ["lock", "index"])
def test_several_jobs_at_once_on_an_empty_cache(smelling: Machine, mirror: Index, source: str) -> None:
    environment = smelling.environment | ({"UV_ACTIONS_INDEX": mirror.url} if source == "index" else {})
    command = ["sh", smelling.scripts / "run", "nose"]
    jobs = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for job in jobs:
        output, errors = job.communicate(timeout=60)
        assert (job.returncode, errors) == (0, "")
        assert json.loads(output)["smell"] == "1.0"
    assert smelling.got("nose")["smell"] == "1.0"


# ---------------------------------------------------------------------------------------------------------------------
# Another index


def test_an_index_takes_the_place_of_the_locks(cut_off: Machine, mirror: Index) -> None:
    assert cut_off.got("nose", UV_ACTIONS_INDEX=mirror.url)["smell"] == "1.0"
    # From now on it is made, so nobody need be asked.
    asked = len(mirror.requests)
    assert cut_off.got("nose")["smell"] == "1.0"
    assert len(mirror.requests) == asked


@pytest.mark.parametrize("given", ["{folder}/my wheels", "../my wheels"])
def test_a_folder_of_wheels_takes_the_place_of_an_index(cut_off: Machine, given: str) -> None:
    wheel(cut_off.folder / "my wheels", "smell", "1.0", "STRENGTH = '1.0'\n")
    wheel(cut_off.folder / "my wheels", "smell", "2.0", "STRENGTH = '2.0'\n")
    folder = given.format(folder=cut_off.folder)
    assert cut_off.got("nose", UV_ACTIONS_INDEX=folder, UV_OFFLINE="1")["smell"] == "1.0"


def test_another_index_is_not_needed_by_a_tool_without_dependencies(machine: Machine) -> None:
    machine.add_tool("nose")
    machine.got("nose", UV_ACTIONS_INDEX="http://127.0.0.1:9/simple/", **HOSTILE)


def test_it_reads_the_index_and_no_other_setting_of_the_caller(cut_off: Machine, mirror: Index) -> None:
    (cut_off.work / "uv.toml").write_text('exclude-newer = "2001-01-01T00:00:00Z"\nno-index = true\n')
    given = HOSTILE | {"UV_ACTIONS_INDEX": mirror.url, "UV_ACTIONS_UV_VERSION": uv_version()}
    assert cut_off.got("nose", **given)["smell"] == "1.0"


@pytest.mark.parametrize("where", ["variables", "netrc"])
def test_the_indexs_password_is_used_and_never_an_argument(cut_off: Machine, mirror: Index, where: str) -> None:
    mirror.require_auth = True
    log = cut_off.log_uv()
    if where == "variables":
        given = {"UV_ACTIONS_UV_INDEX_USERNAME": USERNAME, "UV_ACTIONS_UV_INDEX_PASSWORD": PASSWORD}
    else:
        netrc = cut_off.home / "netrc"
        netrc.write_text(f"machine 127.0.0.1 login {USERNAME} password {PASSWORD}\n")
        given = {"NETRC": str(netrc)}
    got = cut_off.got("nose", UV_ACTIONS_INDEX=mirror.url, **given)
    assert got["smell"] == "1.0"
    assert not [name for name in got["environment"] if name.startswith("UV_INDEX_")]
    assert "pip sync" in log.read_text()
    assert PASSWORD not in log.read_text()


@pytest.mark.parametrize("password", ["", "wr0ng"])
def test_a_refused_password_is_exit_4_and_is_not_shown(cut_off: Machine, mirror: Index, password: str) -> None:
    mirror.require_auth = True
    given = {"UV_ACTIONS_UV_INDEX_USERNAME": USERNAME, "UV_ACTIONS_UV_INDEX_PASSWORD": password} if password else {}
    message = cut_off.refused(4, "nose", UV_ACTIONS_INDEX=mirror.url, **given)
    assert "wr0ng" not in message
    assert cut_off.environments_from_index() == []


def test_the_installers_password_goes_to_its_own_index_only(cut_off: Machine, mirror: Index) -> None:
    mirror.require_auth = True
    given = {
        "UV_ACTIONS_UV_INDEX_URL": "http://127.0.0.1:9/simple/",
        "UV_ACTIONS_UV_INDEX_USERNAME": USERNAME,
        "UV_ACTIONS_UV_INDEX_PASSWORD": PASSWORD,
    }
    cut_off.refused(4, "nose", UV_ACTIONS_INDEX=mirror.url, **given)


def test_a_password_in_the_url_is_refused_and_not_shown(machine: Machine) -> None:
    machine.add_tool("nose")
    message = machine.refused(2, "nose", UV_ACTIONS_INDEX="https://ci:s3cret@index.example/simple/")
    assert "netrc" in message
    assert "s3cret" not in message


def uv_wheels(folder: Path, name: str) -> str:
    """Writes wheels of a uv 0.99.0 for two platforms, which calls the real one; returns their sha256, a line each."""
    folder.mkdir()
    digests = []
    for platform in (f"manylinux_2_17_{os.uname().machine}", "macosx_11_0_s390x"):
        path = folder / f"uv-0.99.0-py3-none-{platform}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for program in ("uv", "uvx"):
                archive.writestr(f"uv-0.99.0.data/scripts/{program}", f"#!/bin/sh\n# {name}\nexec '{UV}' \"$@\"\n")
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return "\n".join(digests)


@pytest.mark.parametrize("source", ["folder", "index"])
def test_uv_itself_comes_from_there_too(machine: Machine, mirror: Index, source: str) -> None:
    machine.add_tool("nose")
    wheels = machine.folder / "my wheels"
    checksums = uv_wheels(wheels, source)
    for path in wheels.iterdir():
        mirror.add(path)
    given = {
        "UV_ACTIONS_INDEX": str(wheels) if source == "folder" else mirror.url,
        "UV_ACTIONS_UV_VERSION": "0.99.0",
        "UV_ACTIONS_UV_CHECKSUM": checksums,
    }
    first = machine.run("nose", **given)
    assert first.returncode == 0, first.stderr
    uv = Path(json.loads(first.stdout)["environment"]["UV_ACTIONS_BIN"]) / "uv"
    assert f"# {source}" in uv.read_text()
    # Once it is installed, its wheel isn't needed.
    shutil.rmtree(wheels)
    wheels.mkdir()
    machine.got("nose", **given)


def test_a_wheel_of_uv_with_a_wrong_hash_is_refused(machine: Machine) -> None:
    machine.add_tool("nose")
    uv_wheels(machine.folder / "wheels", "stolen")
    given = {"UV_ACTIONS_UV_VERSION": "0.99.0", "UV_ACTIONS_UV_CHECKSUM": "0" * 64}
    machine.refused(3, "nose", UV_ACTIONS_INDEX=str(machine.folder / "wheels"), **given)


@pytest.mark.parametrize("source", ["lock", "index", "folder"])
def test_a_file_that_is_not_the_locks_is_refused(
    smelling: Machine, open_index: Index, mirror: Index, source: str
) -> None:
    other = wheel(smelling.folder / "tampered", "smell", "1.0", "STRENGTH = 'stolen'\n")
    shutil.copy(other, mirror.packages)
    shutil.copy(other, open_index.packages)
    given = {"lock": {}, "index": {"UV_ACTIONS_INDEX": mirror.url}, "folder": {"UV_ACTIONS_INDEX": str(other.parent)}}
    message = smelling.refused(3, "nose", **given[source])
    assert "nose" in message
    # Nothing of it stays: the next start is refused too.
    assert smelling.run("nose", **given[source]).returncode == 3


@pytest.mark.parametrize("source", ["lock", "index"])
@pytest.mark.parametrize(("fault", "code"), [(401, 4), (403, 4), (404, 5), (500, 5), ("html", 5), ("cut", 5)])
def test_a_broken_index_ends_the_start(
    smelling: Machine, open_index: Index, mirror: Index, source: str, fault: int, code: int
) -> None:
    serving = mirror if source == "index" else open_index
    given = {"UV_ACTIONS_INDEX": mirror.url} if source == "index" else {}
    serving.fail("*", fault)
    # A cut answer is waited for until the time is out.
    hurried = {"UV_HTTP_TIMEOUT": "3"} if fault == "cut" else {}
    assert "nose" in smelling.refused(code, "nose", **given, **hurried)
    answer_well(serving)
    assert smelling.got("nose", **given)["smell"] == "1.0"
    if source == "index":
        assert len(smelling.environments_from_index()) == 1


def test_a_server_that_is_not_there_is_exit_5(cut_off: Machine) -> None:
    cut_off.refused(5, "nose", UV_ACTIONS_INDEX="http://127.0.0.1:9/simple/")


def test_a_folder_without_the_wheel_is_exit_2(cut_off: Machine) -> None:
    wheels = cut_off.folder / "wheels"
    wheels.mkdir()
    assert str(wheels) in cut_off.refused(2, "nose", UV_ACTIONS_INDEX=str(wheels))


def test_an_index_that_is_neither_url_nor_folder_is_exit_2(machine: Machine) -> None:
    machine.add_tool("nose")
    assert "`wheels`" in machine.refused(2, "nose", UV_ACTIONS_INDEX="wheels")


# ---------------------------------------------------------------------------------------------------------------------
# What can be wrong


@pytest.mark.parametrize(
    ("given", "near"),
    [("lock_chek", "lock_check"), ("lock-check", "lock_check"), ("lock_check.py", "lock_check"), ("noes", "nose")],
)
def test_an_unknown_tool_names_the_nearest(machine: Machine, given: str, near: str) -> None:
    for name in ("lock_check", "nose", "affected"):
        machine.add_tool(name)
    message = machine.refused(2, given)
    assert f"`{given}`" in message
    assert f"`{near}`" in message


@pytest.mark.parametrize("given", ["../evil", "_common", "nose/../nose", ".", "a\nb", "-x", "*"])
def test_only_a_tools_own_name_is_taken(machine: Machine, given: str) -> None:
    machine.add_tool("nose")
    for path in (machine.scripts.parent / "evil.py", machine.scripts / "_common.py"):
        path.write_text("print('started')")
        path.with_name(f"{path.name}.lock").write_text("")
    machine.refused(2, given)


def test_a_missing_lock_is_exit_2(machine: Machine) -> None:
    machine.add_tool("nose").with_name("nose.py.lock").unlink()
    message = machine.refused(2, "nose")
    assert "nose.py.lock is missing" in message
    assert "uv lock --script" in message


@pytest.mark.parametrize("content", ["drifted", "<<<<<<< merge", "version = 99\n"])
def test_a_lock_of_something_else_is_exit_2_and_stays_as_it_is(
    smelling: Machine, open_index: Index, content: str
) -> None:
    lock = smelling.scripts / "nose.py.lock"
    if content == "drifted":
        content = lock.read_text()
        smelling.add_tool("nose", "smell==2.0", index=open_index.url)
    lock.write_text(content)
    assert "uv lock --script" in smelling.refused(2, "nose")
    assert lock.read_text() == content


@pytest.fixture
def no_python(machine: Machine) -> Machine:
    """A machine on which only Python is missing."""
    programs = machine.folder / "programs"
    programs.mkdir()
    for folder in (Path("/bin"), Path("/usr/bin")):
        for program in folder.iterdir():
            if not program.name.startswith(("python", "pypy", "uv")) and not (programs / program.name).exists():
                (programs / program.name).symlink_to(program)
    (programs / "uv").symlink_to(UV)
    (programs / "uvx").symlink_to(UV.with_name("uvx"))
    machine.environment["PATH"] = str(programs)
    machine.add_tool("nose")
    return machine


def test_without_python_and_download_it_is_exit_2(no_python: Machine) -> None:
    message = no_python.refused(2, "nose")
    assert "Python >= 3.10" in message
    assert "UV_PYTHON_DOWNLOADS" in message


def test_a_failing_download_of_python_is_exit_2(no_python: Machine) -> None:
    given = {"UV_PYTHON_DOWNLOADS": "automatic", "UV_PYTHON_INSTALL_MIRROR": "http://127.0.0.1:9"}
    assert "Python >= 3.10" in no_python.refused(2, "nose", **given)


def test_offline_with_a_cold_cache_is_exit_5(smelling: Machine) -> None:
    assert "UV_OFFLINE" in smelling.refused(5, "nose", UV_OFFLINE="1")


@pytest.mark.parametrize("cache", ["{folder}/file", "{folder}/file/below", "/proc/tools"])
def test_a_cache_that_cannot_be_made_is_exit_2(machine: Machine, cache: str) -> None:
    machine.add_tool("nose")
    (machine.folder / "file").touch()
    cache = cache.format(folder=machine.folder)
    message = machine.refused(2, "nose", UV_ACTIONS_TOOLS_CACHE=cache)
    assert cache in message
    assert "UV_ACTIONS_TOOLS_CACHE" in message


def test_a_machine_without_a_home_is_exit_2(machine: Machine) -> None:
    machine.add_tool("nose")
    machine.log_uv()
    assert "HOME" in machine.refused(2, "nose", UV_ACTIONS_TOOLS_CACHE="", HOME="")


# What uv 0.13.9 and 0.8.18 say of faults that a test can't make without being root.
@pytest.mark.parametrize(
    ("said", "code", "told"),
    [
        ("error: Failed to initialize cache at `c`\n  cause: …: Read-only file system (os error 30)", 2, "can't write"),
        ("error: failed to create directory `c`: Permission denied (os error 13)", 2, "can't write"),
        ("error: …\n  cause: failed to write to file `c/x.so`: No space left on device (os error 28)", 2, "no space"),
        (
            "error: Timeout (300s) when waiting for lock on `c` at `c/.lock`, is another uv process running?",
            75,
            "another job",
        ),
        ("error: something new", 2, "uv couldn't make"),
    ],
)
def test_what_uv_says_becomes_a_clear_text(machine: Machine, said: str, code: int, told: str) -> None:
    machine.add_tool("nose")
    machine.fake_uv(f"cat >&2 <<'end'\n{said}\nend\nexit 2\n")
    assert told in machine.refused(code, "nose")
    for line in said.splitlines():
        assert f"  uv: {line}" in machine.run("nose").stderr


def test_the_installers_failure_is_the_end(machine: Machine) -> None:
    machine.add_tool("nose")
    (machine.scripts / "install_uv.sh").write_text("echo 'error: wrong hash' >&2\nexit 3\n")
    run = machine.run("nose")
    assert (run.returncode, run.stdout, run.stderr) == (3, "", "error: wrong hash\n")


def test_on_github_an_error_is_one_annotation(machine: Machine) -> None:
    run = machine.run("100%\n::set-env name=X::1", GITHUB_ACTIONS="true")
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert line.startswith("::error title=run::there is no tool `100%25 ::set-env name=X::1`%0ATo mend it: ")


# ---------------------------------------------------------------------------------------------------------------------
# Help, and Windows


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_without_a_tool_it_lists_them_by_symptom(machine: Machine, arguments: list[str]) -> None:
    machine.add_tool("nose")
    machine.add_tool("ear")
    maker = machine.add_tool("for_makers")
    maker.write_text(maker.read_text().replace("Use when", "Not for people"))
    (machine.scripts / "install_uv.sh").write_text("exit 99\n")
    run = machine.run(*arguments)
    assert run.returncode == 0
    assert run.stderr == ""
    listed = [line.split(maxsplit=1) for line in run.stdout.splitlines() if line.startswith("  ")]
    assert listed == [["ear", "the ear smells odd."], ["nose", "the nose smells odd."]]


def test_on_windows_programs_get_its_form_of_a_path(machine: Machine) -> None:
    machine.add_tool("nose")
    python = machine.folder / "python.exe"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$2" "$UV_ACTIONS_BIN" "${PATH%%:*}"\n')
    python.chmod(0o755)
    log = machine.folder / "log"
    machine.fake_uv(f"""echo "$UV_CACHE_DIR" "$@" >>'{log}'\n[ "$2" = sync ] || echo '{python}'\n""")
    bin_folder = machine.folder / "fake bin"
    cygpath = bin_folder / "cygpath"
    cygpath.write_text('#!/bin/sh\ncase $1 in -m) echo "C:${3#C:}" ;; -u) echo "${3#C:}" ;; esac\n')
    cygpath.chmod(0o755)
    run = machine.run("nose", PATH=f"{bin_folder}:{machine.environment['PATH']}")
    assert run.stdout.splitlines() == [f"C:{machine.scripts}/nose.py", f"C:{bin_folder}", str(bin_folder)]
    script = f"--script C:{machine.scripts}/nose.py"
    assert log.read_text().splitlines() == [
        f"C:{machine.cache} --no-config sync --locked --output-format json {script}",
        f"C:{machine.cache} --no-config python find {script}",
    ]
