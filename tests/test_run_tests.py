"""What `run_tests` does: real uv and real pytest on small projects, and the ends that are no test's fault."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
OLDEST_UV = "0.8.18"

PYPROJECT = """\
[project]
name = "sample"
version = "0.1"
requires-python = ">=3.10"
dependencies = ["attrs>=22.1"]

[dependency-groups]
dev = ["pytest>=8"]
cov = ["pytest-cov>=5"]
more = ["idna>=3"]

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
"""

# Writes what the tests saw to `seen.json`: versions of packages, the interpreter, names of variables.
TELLING = """\
import importlib.metadata, json, os, pathlib, shutil, sys


def test_tells():
    versions = {each.name.lower(): each.version for each in importlib.metadata.distributions()}
    seen = {"versions": versions, "prefix": sys.prefix, "python": shutil.which("python"), "env": dict(os.environ)}
    pathlib.Path("seen.json").write_text(json.dumps(seen))
"""


@dataclass
class Result:
    """How a run of the tool ended."""

    code: int
    log: str
    outputs: dict[str, str]

    @property
    def counts(self) -> tuple[str, str, str]:
        return self.outputs["passed"], self.outputs["failed"], self.outputs["skipped"]


def variables(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a job, outside of GitHub, without anything of the caller's own job."""
    dropped = ("GITHUB_", "RUNNER_", "UV_ACTIONS", "PYTEST_", "COV_", "COVERAGE_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    for name in ("VIRTUAL_ENV", "UV_LOCKED", "UV_FROZEN", "UV_NO_SYNC", "UV_PYTHON", "UV_RUN_RECURSION_DEPTH"):
        environment.pop(name, None)
    temporary = folder.parent / "runner temp"
    temporary.mkdir(exist_ok=True)
    return {**environment, "RUNNER_TEMP": str(temporary), **more}


def run(folder: Path, *arguments: str | Path, **more: str) -> Result:
    """Runs the tool in a folder."""
    result = subprocess.run(
        [sys.executable, SCRIPTS / "run_tests.py", *arguments],
        cwd=folder,
        env=variables(folder, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    assert 'run_tests.py", line' not in result.stdout
    names = ("junit", "coverage", "passed", "failed", "skipped")
    pairs = (
        line.split("=", 1) for line in result.stdout.splitlines() if line.startswith(tuple(f"{n}=" for n in names))
    )
    return Result(result.returncode, result.stdout, dict(pairs))


def uv(folder: Path, *arguments: str | Path, **more: str) -> str:
    command = ["uv", *arguments]
    return subprocess.run(
        command, cwd=folder, env=variables(folder, **more), check=True, stdout=subprocess.PIPE, encoding="utf-8"
    ).stdout


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A locked project with nothing in it yet."""
    folder = tmp_path_factory.mktemp("template") / "sample"
    (folder / "src" / "sample").mkdir(parents=True)
    (folder / "src" / "sample" / "__init__.py").write_text("def double(x):\n    return 2 * x\n")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    uv(folder, "lock", "--quiet")
    return folder


@pytest.fixture
def sample(locked: Path, tmp_path: Path) -> Path:
    """A copy of the locked project, as a repository on a path with a space."""
    folder = tmp_path / "my work" / "sample"
    shutil.copytree(locked, folder)
    (folder / ".git").mkdir()
    return folder


@pytest.fixture(scope="session")
def oldest_uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the oldest uv that we support."""
    folder = tmp_path_factory.mktemp("oldest")
    uv(folder, "pip", "install", "--quiet", "--target", folder, f"uv=={OLDEST_UV}", "--python", sys.executable)
    return folder / "bin"


@pytest.fixture(params=["current", OLDEST_UV])
def path(request: pytest.FixtureRequest) -> str:
    """PATH with the uv of this machine first, or with the oldest one."""
    if request.param == OLDEST_UV:
        return os.pathsep.join([str(request.getfixturevalue("oldest_uv")), os.environ["PATH"]])
    return os.environ["PATH"]


def seen(folder: Path) -> dict:
    return json.loads((folder / "seen.json").read_text())


def write_test(folder: Path, text: str) -> None:
    (folder / "test_it.py").write_text(text)


# --- The environments ---


def test_locked_adds_to_what_setup_installed(sample: Path, path: str) -> None:
    uv(sample, "sync", "--quiet", "--locked", "--group", "more", PATH=path)
    write_test(sample, TELLING)

    result = run(sample, PATH=path, UV_FROZEN="1", VIRTUAL_ENV="/nowhere")

    assert result.code == 0, result.log
    assert result.counts == ("1", "0", "0")
    assert {"attrs", "pytest", "sample", "idna"} <= set(seen(sample)["versions"])
    assert seen(sample)["prefix"] == str(sample / ".venv")
    assert "warning" not in result.log


@pytest.mark.parametrize("resolution", ["lowest-direct", "highest"])
def test_another_resolution_has_its_own_environment(sample: Path, path: str, resolution: str) -> None:
    write_test(sample, TELLING)
    lock = (sample / "uv.lock").read_bytes()

    result = run(sample, f"--resolution={resolution}", "--groups=more", PATH=path, UV_LOCKED="1", UV_SYSTEM_PYTHON="1")

    assert result.code == 0, result.log
    versions = seen(sample)["versions"]
    direct = {name: versions[name] for name in ("attrs", "pytest")}
    if resolution == "lowest-direct":
        assert direct == {"attrs": "22.1.0", "pytest": "8.0.0"}
    else:
        assert int(direct["attrs"].split(".")[0]) >= 25
    assert "idna" in versions
    assert (sample / "uv.lock").read_bytes() == lock
    assert not (sample / ".venv").exists()
    assert Path(seen(sample)["prefix"]).is_relative_to(sample.parent / "runner temp")
    assert Path(seen(sample)["python"]).is_relative_to(seen(sample)["prefix"])


def test_a_workspace_without_a_root_project_means_all_members(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "space"
    (folder / "libs").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[tool.uv.workspace]\nmembers = ["libs/*"]\nexclude = ["libs/out"]\n[dependency-groups]\ndev = ["pytest>=8"]\n'
    )
    for name, dependency, group in (
        ("one", "attrs>=22.1", "idna>=3"),
        ("two", "one", "sniffio>=1.3"),
        ("out", "nope", ""),
    ):
        member = folder / "libs" / name
        (member / "src" / name).mkdir(parents=True)
        (member / "src" / name / "__init__.py").touch()
        text = PYPROJECT.replace("sample", name).replace("attrs>=22.1", dependency).replace("pytest>=8", group)
        source = "[tool.uv.sources]\none = { workspace = true }\n" if name == "two" else ""
        (member / "pyproject.toml").write_text(text + source)
    write_test(folder, TELLING)

    result = run(folder, "--resolution=lowest-direct", PATH=path)

    assert result.code == 0, result.log
    versions = seen(folder)["versions"]
    assert {name: versions.get(name) for name in ("one", "two", "attrs", "idna", "sniffio", "pytest")} == {
        "one": "0.1",
        "two": "0.1",
        "attrs": "22.1.0",
        "idna": "3.0",
        "sniffio": "1.3.0",
        "pytest": "8.0.0",
    }


def test_a_project_that_is_no_package_and_its_default_groups(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "app"\nversion = "0"\nrequires-python = ">=3.10"\ndependencies = ["attrs>=22.1"]\n'
        '[dependency-groups]\ntest = ["pytest>=8"]\ndev = ["idna"]\n[tool.uv]\ndefault-groups = ["test"]\n'
    )
    write_test(folder, TELLING)

    result = run(folder, "--resolution=lowest-direct")

    assert result.code == 0, result.log
    versions = seen(folder)["versions"]
    assert versions["attrs"] == "22.1.0"
    assert not {"app", "idna"} & set(versions)


def test_a_lock_that_does_not_fit_is_told_and_left(sample: Path, path: str) -> None:
    (sample / "pyproject.toml").write_text(PYPROJECT.replace('"attrs>=22.1"', '"attrs>=22.1", "idna"'))
    write_test(sample, TELLING)
    lock = (sample / "uv.lock").read_bytes()

    result = run(sample, PATH=path)

    assert result.code == 1
    assert "To mend it: run `uv lock`" in result.log
    assert (sample / "uv.lock").read_bytes() == lock
    assert not (sample / "seen.json").exists()


def test_without_sync_the_environment_is_taken_as_it_is(sample: Path) -> None:
    uv(sample, "venv", "--quiet", "--python", sys.executable)
    uv(sample, "pip", "install", "--quiet", "pytest")
    write_test(sample, TELLING)

    result = run(sample, UV_NO_SYNC="1")

    assert result.code == 0, result.log
    assert "attrs" not in seen(sample)["versions"]


def test_without_sync_and_without_an_environment(sample: Path) -> None:
    result = run(sample, UV_NO_SYNC="1")

    assert result.code == 2
    assert f"there is no environment in {sample / '.venv'}" in result.log
    assert not (sample / ".venv").exists()


def test_the_wanted_python_is_verified(sample: Path) -> None:
    uv(sample, "venv", "--quiet", "--python", sys.executable)
    uv(sample, "pip", "install", "--quiet", "pytest")
    write_test(sample, TELLING)
    here, other = f"3.{sys.version_info.minor}", f"3.{sys.version_info.minor + 1}"

    assert run(sample, f"--python-version={here}", UV_NO_SYNC="1").code == 0
    result = run(sample, f"--python-version={other}", UV_NO_SYNC="1")

    assert result.code == 2
    assert f"has Python {here}" in result.log
    assert f"`python-version` is '{other}'" in result.log


def test_the_wanted_python_is_used_for_another_resolution(sample: Path) -> None:
    (sample / ".python-version").write_text("3.99\n")
    write_test(sample, TELLING)
    here = ".".join(str(part) for part in sys.version_info[:3])

    # pyenv's shims refuse to start anything beside that `.python-version`.
    path = os.pathsep.join([os.path.dirname(os.path.realpath(sys.executable)), os.environ["PATH"]])
    result = run(sample, "--resolution=highest", f"--python-version={here}", PATH=path)

    assert result.code == 0, result.log
    assert f"(highest, Python {here})" in result.log


def test_unknown_groups(sample: Path) -> None:
    result = run(sample, "--resolution=highest", "--groups=docs")

    assert result.code == 2
    assert "the dependency group `docs` is not in" in result.log


@pytest.mark.parametrize("resolution", ["locked", "highest"])
def test_a_group_has_one_name_however_it_is_written(sample: Path, resolution: str) -> None:
    write_test(sample, "import idna\ndef test_a(): pass\n")
    result = run(sample, f"--resolution={resolution}", "--groups=More")
    assert result.code == 0, result.log


# --- The command ---


def test_a_program_of_the_machine_does_not_stand_in(sample: Path, tmp_path: Path) -> None:
    (sample / "pyproject.toml").write_text(PYPROJECT.replace('"pytest>=8"', ""))
    uv(sample, "lock", "--quiet")
    impostor = tmp_path / "bin" / "pytest"
    impostor.parent.mkdir()
    impostor.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
    impostor.chmod(0o755)

    result = run(sample, PATH=f"{impostor.parent}{os.pathsep}{os.environ['PATH']}")

    assert result.code == 2
    assert "pytest isn't in the environment" in result.log
    assert "To mend it: uv add --dev pytest" in result.log
    assert not (tmp_path / "ran").exists()


def test_arguments_are_never_split_or_expanded(sample: Path) -> None:
    (sample / "say.py").write_text("import json, sys\njson.dump(sys.argv[1:], open('said.json', 'w'))\n")
    hostile = ["a b", "$(touch x)", "*", "`id`", "--x=;ls", "'"]

    result = run(sample, "--command=python 'say.py'", UV_ACTIONS_RUN_TESTS_ARGS="\n".join(hostile))

    assert result.code == 0, result.log
    assert json.loads((sample / "said.json").read_text()) == hostile
    assert result.outputs["junit"] == result.outputs["passed"] == ""


def test_pytest_as_a_module(sample: Path) -> None:
    write_test(sample, "def test_a(): pass\n")

    assert run(sample, "--command=python -m pytest").counts == ("1", "0", "0")
    assert run(sample, "--command=python", "--args=-m", "--args=pytest", "--args=-q").counts == ("1", "0", "0")


def test_a_program_by_its_path(sample: Path) -> None:
    (sample / "check.sh").write_text("#!/bin/sh\npython -c 'import sample'\n")
    (sample / "check.sh").chmod(0o755)

    assert run(sample, "--command=./check.sh").code == 0
    assert run(sample, "--command=./absent.sh").code == 2


def test_another_command_fails_the_step(sample: Path) -> None:
    result = run(sample, "--command=python", "--args=-c", "--args=raise SystemExit(7)")

    assert result.code == 1
    assert "python ended with exit code 7" in result.log


def test_a_report_counts_only_if_the_command_wrote_it(sample: Path) -> None:
    old = '<testsuite><testcase name="old"/></testsuite>'
    (sample / "r.xml").write_text(old)
    write = f"open('r.xml', 'w').write({old * 2!r}.replace('</testsuite><testsuite>', ''))"

    stale = run(sample, "--command=python", "--args=-c", "--args=pass", "--junit=r.xml")
    fresh = run(sample, "--command=python", "--args=-c", f"--args={write}", "--junit=r.xml")

    assert (stale.code, stale.outputs["junit"], stale.counts) == (0, "", ("", "", ""))
    assert "wrote no report" in stale.log
    assert (fresh.code, fresh.outputs["junit"], fresh.counts) == (0, str(sample / "r.xml"), ("2", "0", "0"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--command=pytest 'x"], "a quote is not closed"),
        (["--args=--junitxml=x.xml"], "use the input `junit`"),
        (["--junit=src"], "which is a folder"),
        (["--command=python -V", "--coverage=xml"], "needs pytest"),
        (["--working-directory=absent"], "--working-directory: 'absent' is not a folder"),
        (["--mirror=https://me:secret@example.org/simple"], "--mirror: there is a user or password in the URL"),
        (["--resolution=newest"], "newest"),
    ],
)
def test_wrong_use_is_told_before_anything_is_done(sample: Path, arguments: list[str], message: str) -> None:
    result = run(sample, *arguments)

    assert result.code == 2
    assert message in result.log
    assert "secret" not in result.log
    assert not (sample / ".venv").exists()


# --- The ends ---


def test_failed_tests(sample: Path) -> None:
    write_test(
        sample,
        "import pytest\ndef test_a(): pass\ndef test_b():\n    assert 1 == 2\n@pytest.mark.skip\ndef test_c(): pass\n",
    )

    result = run(sample, "--junit=out/report.xml")

    assert result.code == 1
    assert result.counts == ("1", "1", "1")
    assert result.outputs["junit"] == str(sample / "out" / "report.xml")
    assert "error: test_it.py:4: assert 1 == 2" in result.log
    assert "To mend it" not in result.log


INTERNAL = "def pytest_collection_modifyitems():\n    raise RuntimeError('plugin')\n"
HIDDEN = "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n"


@pytest.mark.parametrize(
    ("test", "conftest", "arguments", "code", "message"),
    [
        ("", "", [], 2, "no test was collected"),
        ("", HIDDEN, [], 2, "no test was collected"),
        ("def test_a(): pass\n", "", ["--args=-k", "--args=zzz"], 2, "no test was collected"),
        ("def test_a(): pass\n", "", ["--args=--nope"], 2, "pytest refuses its arguments"),
        ("def test_a(): pass\n", INTERNAL, [], 2, "pytest broke with an internal error"),
        ("def test_a(): raise KeyboardInterrupt\n", "", [], 2, "pytest was interrupted"),
        ("import nowhere\n", "", [], 1, "error: test_it.py:1: collection failure"),
        ("import os\ndef test_a(): os.kill(os.getpid(), 9)\n", "", [], 1, "pytest was killed by SIGKILL"),
        ("import pytest\n@pytest.mark.skip\ndef test_a(): pass\n", "", [], 0, "1 skipped"),
        ("def test_a(): pass\n", "", ["--args=-p", "--args=no:junitxml"], 2, "pytest refuses its arguments"),
    ],
)
def test_ends_are_told_apart(
    sample: Path, test: str, conftest: str, arguments: list[str], code: int, message: str
) -> None:
    write_test(sample, test)
    (sample / "conftest.py").write_text(conftest)

    result = run(sample, *arguments)

    assert (result.code, message in result.log) == (code, True), result.log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_job_ends_its_tests(sample: Path, number: signal.Signals) -> None:
    write_test(sample, "import pathlib, time\ndef test_a():\n    pathlib.Path('started').touch()\n    time.sleep(60)\n")
    process = subprocess.Popen(
        [sys.executable, SCRIPTS / "run_tests.py", "--junit=r.xml"],
        cwd=sample,
        env=variables(sample),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    wait_for(lambda: (sample / "started").exists())
    process.send_signal(number)
    log, _ = process.communicate(timeout=30)

    assert process.returncode == 128 + number
    assert f"interrupted by {number.name}" in log
    assert (sample / "r.xml").exists() == (number == signal.SIGINT)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_python_that_is_not_here_is_not_blamed_on_packages(sample: Path) -> None:
    result = run(sample, "--resolution=highest", "--python-version=3.99", UV_PYTHON_DOWNLOADS="never")

    assert result.code == 2
    assert "install a Python that the project allows, or set `python-version`" in result.log
    assert "lower bound" not in result.log


# --- Coverage, and what the tests get ---


def test_coverage(sample: Path) -> None:
    write_test(sample, "import sample\ndef test_a():\n    assert sample.double(2) == 4\n")

    result = run(sample, "--groups=cov", "--coverage=xml", "--args=--cov=sample")

    assert result.code == 0, result.log
    report = Path(result.outputs["coverage"]).read_text()
    assert 'line-rate="1"' in report
    assert "test_it.py" not in report
    assert not (sample / ".coverage").exists()


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "-ra --cov=sample"\n'),
        ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = ["--cov", "sample"]\n'),
        ("pytest.ini", "[pytest]\naddopts = -ra\n  --cov=sample\n"),
        ("setup.cfg", "[tool:pytest]\naddopts = --cov=sample --cov-report=term:skip-covered\n"),
    ],
)
def test_coverage_of_what_pytest_is_configured_to_measure(sample: Path, file: str, text: str) -> None:
    write_test(sample, "import sample\ndef test_a():\n    assert sample.double(2) == 4\n")
    with (sample / file).open("a") as settings:
        settings.write(f"\n{text}")

    result = run(sample, "--groups=cov", "--coverage=xml")

    assert result.code == 0, result.log
    report = Path(result.outputs["coverage"]).read_text()
    assert 'line-rate="1"' in report
    assert "test_it.py" not in report


def test_coverage_of_all_where_another_tool_is_configured_to_measure(sample: Path) -> None:
    write_test(sample, "import sample\ndef test_a():\n    assert sample.double(2) == 4\n")
    (sample / "tox.ini").write_text("[testenv]\ncommands = pytest --cov=sample\n")

    result = run(sample, "--groups=cov", "--coverage=xml")

    assert result.code == 0, result.log
    assert "test_it.py" in Path(result.outputs["coverage"]).read_text()


def test_coverage_without_pytest_cov(sample: Path) -> None:
    write_test(sample, "def test_a(): pass\n")

    result = run(sample, "--coverage=xml")

    assert result.code == 2
    assert "needs pytest-cov" in result.log


def test_parallel_jobs_in_one_workspace(sample: Path) -> None:
    write_test(sample, "import sample, time\ndef test_a():\n    time.sleep(1)\n    assert sample.double(2) == 4\n")
    uv(sample, "sync", "--quiet", "--locked", "--group=cov")
    processes = [
        subprocess.Popen(
            [sys.executable, SCRIPTS / "run_tests.py", "--groups=cov", "--coverage=xml"],
            cwd=sample,
            env=variables(sample),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )
        for _ in range(2)
    ]
    logs = [process.communicate(timeout=120)[0] for process in processes]

    assert [process.returncode for process in processes] == [0, 0]
    reports = {line for log in logs for line in log.splitlines() if line.startswith(("junit=", "coverage="))}
    assert len(reports) == 4


def test_the_tests_get_the_jobs_environment_without_our_inputs(sample: Path) -> None:
    write_test(sample, TELLING)

    result = run(sample, UV_ACTIONS_RUN_TESTS_GROUPS="more", UV_ACTIONS_SECRET="s", UV_LOCKED="1", MINE="kept")

    assert result.code == 0, result.log
    environment = seen(sample)["env"]
    assert [name for name in environment if name.startswith("UV_ACTIONS")] == []
    assert environment["MINE"] == "kept"
    assert environment["UV_LOCKED"] == "1"
    assert environment["VIRTUAL_ENV"] == str(sample / ".venv")


# --- Other platforms ---


def test_a_wrapper_gets_outputs_and_the_jobs_own_folder_holds_the_report(sample: Path, tmp_path: Path) -> None:
    write_test(sample, TELLING + "\n\ndef test_fails():\n    assert 1 == 2\n")
    temporary, output, exports = tmp_path / "job temp", tmp_path / "outputs.json", tmp_path / "exports.sh"
    temporary.mkdir()
    job = {"UV_ACTIONS_PLATFORM": "gitlab", "UV_ACTIONS_TEMP": str(temporary), "RUNNER_TEMP": ""}

    result = run(sample, **job, UV_ACTIONS_OUTPUT=str(output), UV_ACTIONS_EXPORTS=str(exports))

    assert result.code == 1
    outputs = json.loads(output.read_text())
    junit = Path(outputs.pop("junit"))
    assert outputs == {"coverage": "", "passed": "1", "failed": "1", "skipped": "0"}
    assert junit.is_relative_to(temporary)
    assert "test_fails" in junit.read_text()
    # What the sync inside would tell later steps is no business of theirs, and nothing of it of the tests.
    assert not exports.exists()
    assert not {"UV_ACTIONS_OUTPUT", "UV_ACTIONS_EXPORTS"} & seen(sample)["env"].keys()
    assert "error: test_it.py:11: assert 1 == 2 [test_it.py::test_fails]" in result.log
    # GitLab reads JUnit itself.
    assert not (sample / "gl-code-quality-report.json").exists()


def test_failures_are_annotated_on_buildkite(sample: Path, tmp_path: Path) -> None:
    write_test(sample, "def test_fails():\n    assert 1 == 2\n")
    agent = tmp_path / "bin" / "buildkite-agent"
    agent.parent.mkdir()
    # A stand-in that keeps what it was told.
    agent.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$0.arguments"\ncat > "$0.body"\n')
    agent.chmod(0o755)
    job = {"UV_ACTIONS_PLATFORM": "buildkite", "PATH": f"{agent.parent}{os.pathsep}{os.environ['PATH']}"}

    assert run(sample, **job).code == 1

    assert agent.with_name("buildkite-agent.arguments").read_text().startswith("annotate\n--style\nerror\n--context\n")
    body = agent.with_name("buildkite-agent.body").read_text()
    assert body.startswith("### pytest (locked, Python ")
    assert "| `test_it.py::test_fails` |" in body
