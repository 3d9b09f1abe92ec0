"""What a tool hands to its platform: outputs, variables, PATH, summary and masks, as sh and JSON read them back."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import _common
import pytest

HOSTILE = [
    "",
    "plain",
    "it's",
    "''",
    "two\nlines\n",
    "$(touch pwned) `touch pwned` ${HOME} $HOME",
    "'; touch pwned; '",
    '"double" \\ back\\\\slash',
    "-n leading dash",
    "${{ secrets.TOKEN }} $[[ inputs.x ]]",
    "a\r\nb\tc",
    "naïve ✓",
    "# no comment ! & | ; < > ( ) * ? [a] ~ {a,b} % =",
]
SHELLS = [["sh"], ["dash"], ["busybox", "sh"]]


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the variables of a job."""

    def set_all(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ""),
        ({"CI": "true"}, ""),
        ({"GITHUB_ACTIONS": "true"}, "github"),
        ({"GITLAB_CI": "true"}, "gitlab"),
        ({"BUILDKITE": "true"}, "buildkite"),
        ({"JENKINS_URL": "https://ci.acme.example/"}, "jenkins"),
        ({"GITHUB_ACTIONS": "false", "GITLAB_CI": "false", "BUILDKITE": "", "JENKINS_URL": ""}, ""),
        ({"UV_ACTIONS_PLATFORM": "gitlab", "GITLAB_CI": "false"}, "gitlab"),
        ({"UV_ACTIONS_PLATFORM": "jenkins", "GITHUB_ACTIONS": "true"}, "jenkins"),
        ({"UV_ACTIONS_PLATFORM": "github"}, "github"),
        ({"UV_ACTIONS_PLATFORM": "", "GITLAB_CI": "true"}, "gitlab"),
        # Its error goes to a person, and not into a form of the platform that it hides.
        ({"UV_ACTIONS_PLATFORM": "GitLab", "GITHUB_ACTIONS": "true"}, ""),
    ],
)
def test_the_platform_is_told_by_the_wrapper_else_by_the_platforms_own_mark(
    on: Callable[..., None], environment: dict[str, str], expected: str
) -> None:
    on(**environment)
    assert _common.platform() == expected
    assert _common.on_github() == (expected == "github")


def test_a_platform_that_does_not_exist_is_wrong_use() -> None:
    tool = Path(_common.__file__).with_name("cache_key.py")
    result = subprocess.run(
        [sys.executable, tool, "plan"],
        env={**os.environ, "UV_ACTIONS_PLATFORM": "travis"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("error: UV_ACTIONS_PLATFORM is 'travis'")
    assert "To mend it:" in result.stderr


def sourced(file: Path, names: list[str], shell: list[str]) -> dict[str, str]:
    """The variables that a shell has after it has read the file, byte for byte."""
    script = f'. "$1"; for name in {" ".join(names)}; do eval "printf \'%s\\\\0\' \\"\\$$name\\""; done'
    done = subprocess.run(
        [*shell, "-eu", "-c", script, "sh", str(file)], cwd=file.parent, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    return dict(zip(names, done.stdout.decode().split("\0"), strict=False))


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_outputs_survive_the_shell(on: Callable[..., None], tmp_path: Path, shell: list[str]) -> None:
    file = tmp_path / "outputs"
    on(UV_ACTIONS_OUTPUT=str(file), UV_ACTIONS_PLATFORM="buildkite")
    values = {f"out-put-{number}": text for number, text in enumerate(HOSTILE)}
    _common.set_outputs({"early": 1})
    _common.set_outputs(values)
    _common.set_outputs({"early": True, "none": None})
    names = [f"uv_out_{name.replace('-', '_')}" for name in (*values, "early", "none")]
    assert list(sourced(file, names, shell).values()) == [*values.values(), "true", ""]
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_exports_and_path_survive_the_shell(on: Callable[..., None], tmp_path: Path, shell: list[str]) -> None:
    file = tmp_path / "exports"
    on(UV_ACTIONS_EXPORTS=str(file), UV_ACTIONS_PLATFORM="gitlab")
    values = {f"VALUE_{number}": text for number, text in enumerate(HOSTILE)}
    folder = tmp_path / "a $(touch pwned) 'folder'"
    _common.export(values)
    _common.add_path(folder)
    found = sourced(file, [*values, "PATH"], shell)
    assert found.pop("PATH") == f"{folder}:{os.environ['PATH']}"
    assert found == values
    script = '. "$1"; exec "$2" -c "import os, json; print(json.dumps(dict(os.environ)))"'
    child = subprocess.run(
        [*shell, "-c", script, "sh", str(file), sys.executable], cwd=tmp_path, capture_output=True, check=True
    )
    assert values.items() <= json.loads(child.stdout).items(), "a later command gets them too"
    assert not (tmp_path / "pwned").exists()


def test_bytes_that_are_no_text_stay_as_they_are(on: Callable[..., None], tmp_path: Path) -> None:
    file = tmp_path / "outputs"
    on(UV_ACTIONS_OUTPUT=str(file))
    _common.set_outputs({"path": os.fsdecode(b"caf\xe9")})
    assert file.read_bytes() == b"uv_out_path='caf\xe9'\n"


def test_on_windows_path_is_put_into_the_form_of_its_shell(
    on: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A stand-in for cygpath shows that it gets the folder as one word."""
    (tmp_path / "bin").mkdir()
    cygpath = tmp_path / "bin" / "cygpath"
    cygpath.write_text('#!/bin/sh\n[ "$#" = 2 ] && [ "$1" = -u ] && [ "$2" = "C:/a b" ] && echo "/c/a b"\n')
    cygpath.chmod(0o755)
    file = tmp_path / "exports"
    on(UV_ACTIONS_EXPORTS=str(file), PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(sys, "platform", "win32")
    _common.add_path(Path("C:/a b"))
    assert sourced(file, ["PATH"], ["sh"])["PATH"].startswith("/c/a b:")


def test_outputs_as_json_are_one_object_of_strings(on: Callable[..., None], tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    on(UV_ACTIONS_OUTPUT=str(file), UV_ACTIONS_PLATFORM="jenkins")
    file.touch()
    values = {f"out-{number}": text for number, text in enumerate(HOSTILE)}
    _common.set_outputs({"number": 3, "out-1": "old"})
    _common.set_outputs({**values, "flag": False, "none": None})
    assert json.loads(file.read_text()) == {"number": "3", **values, "flag": "false", "none": ""}
    assert file.read_bytes().isascii()


@pytest.mark.parametrize("content", ["[]", "{", "text"])
def test_a_file_of_somebody_else_is_not_overwritten(on: Callable[..., None], tmp_path: Path, content: str) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(content)
    on(UV_ACTIONS_OUTPUT=str(file))
    with pytest.raises(_common.Failure, match="no JSON object"):
        _common.set_outputs({"a": 1})
    assert file.read_text() == content


def test_github_has_files_of_its_own(on: Callable[..., None], tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    names = {"GITHUB_OUTPUT": "output", "GITHUB_ENV": "env", "GITHUB_PATH": "path", "GITHUB_STEP_SUMMARY": "summary"}
    on(GITHUB_ACTIONS="true", **{name: str(tmp_path / file) for name, file in names.items()})
    on(UV_ACTIONS_OUTPUT=str(ours), UV_ACTIONS_EXPORTS=str(ours), UV_ACTIONS_SUMMARY=str(ours))
    _common.set_outputs({"a": "b"})
    _common.export({"A": "b"})
    _common.add_path(Path("/opt/uv"))
    _common.add_summary("# hello")
    assert (tmp_path / "output").read_text().startswith("a<<")
    assert (tmp_path / "env").read_text().startswith("A<<")
    assert (tmp_path / "path").read_text() == "/opt/uv\n"
    assert (tmp_path / "summary").read_text() == "# hello\n"
    assert not ours.exists()


def test_a_person_reads_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    _common.set_outputs({"a": "b", "yes": True})
    _common.export({"A": "b"})
    _common.add_path(Path("/opt/uv"))
    _common.add_summary("# hello")
    told = capsys.readouterr()
    assert told.out == "a=b\nyes=true\nA=b\n"
    assert told.err == "# hello\n"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"RUNNER_TEMP": "/r", "UV_ACTIONS_TEMP": "/u"}, "/r"),
        ({"UV_ACTIONS_TEMP": "/u"}, "/u"),
        ({"RUNNER_TEMP": "", "UV_ACTIONS_TEMP": ""}, None),
    ],
)
def test_the_jobs_temporary_folder(
    on: Callable[..., None], variables: Mapping[str, str], expected: str | None, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    on(**variables)
    assert _common.job_temp() == Path(expected or tmp_path)


@pytest.fixture
def agent(tmp_path: Path, on: Callable[..., None]) -> Path:
    """A stand-in for buildkite-agent: it notes its arguments, NUL after each, and what it got on stdin."""
    folder = tmp_path / "agent"
    folder.mkdir()
    program = folder / "buildkite-agent"
    program.write_text(
        f"#!/bin/sh\nprintf '%s\\0' \"$@\" >>'{folder}/arguments'\n"
        f"cat >>'{folder}/stdin'\nexit \"${{AGENT_EXIT:-0}}\"\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    on(PATH=f"{folder}:{os.environ['PATH']}", UV_ACTIONS_PLATFORM="buildkite", BUILDKITE_JOB_ID="0191-job")
    return folder


def test_on_buildkite_the_summary_is_an_annotation_of_the_job(agent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _common.add_summary("### uv\n\n| a |\n")
    arguments = (agent / "arguments").read_text().split("\0")
    assert arguments[:-1] == ["annotate", "--append", "--context", "uv-actions-0191-job", "--style", "info"]
    assert (agent / "stdin").read_text() == "\n### uv\n\n| a |\n"
    assert capsys.readouterr() == ("", "")


def test_an_agent_that_refuses_fails_no_job(
    agent: Path, on: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    on(AGENT_EXIT="1")
    _common.add_summary("### uv")
    _common.mask("s3cret")
    told = capsys.readouterr()
    assert told.err == "### uv\n", "then the log shows the summary"
    assert "s3cret" not in told.out + told.err
    assert (agent / "stdin").read_text().endswith("s3cret")


def test_without_an_agent_the_log_shows_the_summary(
    on: Callable[..., None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    on(UV_ACTIONS_PLATFORM="buildkite", PATH=str(tmp_path))
    _common.add_summary("### uv")
    _common.mask("s3cret")
    assert capsys.readouterr() == ("", "### uv\n")


def test_on_buildkite_a_secret_is_hidden_before_use_and_never_an_argument(agent: Path) -> None:
    _common.mask("s3cret\n  second line\n\n")
    assert (agent / "stdin").read_text() == "s3cretsecond line"
    assert (agent / "arguments").read_text() == "redactor\0add\0" * 2


def test_a_summary_with_a_file_of_its_own_is_no_annotation(
    agent: Path, on: Callable[..., None], tmp_path: Path
) -> None:
    file = tmp_path / "summary.md"
    on(UV_ACTIONS_SUMMARY=str(file))
    _common.add_summary("# one\n\n")
    _common.add_summary("# two")
    assert file.read_text() == "# one\n# two\n"
    assert not (agent / "arguments").exists()


@pytest.mark.parametrize("platform", ["gitlab", "jenkins", ""])
def test_where_nothing_can_hide_a_secret_it_is_not_printed(
    on: Callable[..., None], capsys: pytest.CaptureFixture[str], platform: str
) -> None:
    on(UV_ACTIONS_PLATFORM=platform)
    _common.mask("s3cret")
    assert capsys.readouterr() == ("", "")


def test_the_suite_hides_the_job_that_runs_it(tmp_path: Path) -> None:
    (tmp_path / "test_inner.py").write_text(
        "import os, _common\n"
        "def test_inner():\n"
        "    assert _common.platform() == ''\n"
        "    of_jobs = ('CI_', 'BUILDKITE', 'JENKINS_', 'UV_ACTIONS_P')\n"
        "    assert not [name for name in os.environ if name.startswith(of_jobs)]\n"
    )
    tests = Path(__file__).resolve().parent
    of_jobs = {
        "GITLAB_CI": "true",
        "CI_COMMIT_TAG": "v1",
        "JENKINS_URL": "x",
        "BUILDKITE": "true",
        "BUILDKITE_TAG": "v1",
    }
    result = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider"),
            *("--rootdir", str(tmp_path), "-c", "/dev/null", str(tmp_path)),
        ],
        cwd=tmp_path,
        env={
            **os.environ, **of_jobs, "GITHUB_ACTIONS": "true", "UV_ACTIONS_PLATFORM": "gitlab",
            "PYTHONPATH": f"{tests}:{tests.parent / 'scripts'}",
        },
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
