"""What `ci_report` gives to GitLab and Buildkite: a Code Quality report, an annotation, and text for the log."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

TOOL = Path(__file__).resolve().parents[1] / "scripts" / "ci_report.py"
REPORT = "gl-code-quality-report.json"

# Stands in for Buildkite's agent: keeps what it is given beside itself, and ends as it is told.
AGENT = """\
#!{python}
import json, os, sys
from pathlib import Path
folder = Path(__file__).parent
with (folder / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps({{"arguments": sys.argv[1:], "body": sys.stdin.buffer.read().decode()}}) + "\\n")
print("fatal: the API says 422", file=sys.stderr)
sys.exit(int(os.environ.get("AGENT_ENDS_WITH", "0")))
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "my repo"
    (root / ".git").mkdir(parents=True)
    (root / "pyproject.toml").write_text("[project]\n")
    return root


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    """The folder of a stand-in for `buildkite-agent`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "buildkite-agent").write_text(AGENT.format(python=sys.executable))
    (folder / "buildkite-agent").chmod(0o755)
    return folder


def show(folder: Path, platform: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the tool in a folder on a platform."""
    done = subprocess.run(
        [sys.executable, TOOL, *arguments],
        cwd=folder,
        env={**os.environ, "UV_ACTIONS_PLATFORM": platform, **variables},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert "Traceback (most recent call last)" not in done.stderr
    return done


def calls(agent: Path) -> list[dict[str, Any]]:
    file = agent / "calls.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def finding(message: str, file: str = "", line: int = 0, level: str = "error", rule: str = "drifted") -> dict[str, Any]:
    result: dict[str, Any] = {"ruleId": rule, "level": level, "message": {"text": message}}
    if file:
        place: dict[str, Any] = {"artifactLocation": {"uri": file}}
        if line:
            place["region"] = {"startLine": line}
        result["locations"] = [{"physicalLocation": place}]
    return result


def sarif(folder: Path, *results: dict[str, Any], name: str = "r.sarif") -> Path:
    run = {"tool": {"driver": {"name": "checker"}}, "results": list(results)}
    (folder / name).write_text(json.dumps({"version": "2.1.0", "runs": [run]}))
    return folder / name


def junit(folder: Path, *cases: str) -> None:
    (folder / "r.xml").write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")


def entries(folder: Path, name: str = REPORT) -> list[dict[str, Any]]:
    """The Code Quality report, checked against what GitLab documents and demands.

    An entry that doesn't fit ends GitLab's reading without a word; so does a byte order mark.
    Source: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
    """
    data = (folder / name).read_bytes()
    assert data[:1] == b"["
    found = json.loads(data)
    for entry in found:
        assert all(isinstance(entry[key], str) and entry[key] for key in ("description", "check_name", "fingerprint"))
        assert entry["severity"] in ("info", "minor", "major", "critical", "blocker")
        path, line = entry["location"]["path"], entry["location"]["lines"]["begin"]
        assert path
        assert not path.startswith(("/", "./", "../"))
        assert type(line) is int
        assert line >= 1
    prints = [entry["fingerprint"] for entry in found]
    assert len(set(prints)) == len(prints)
    return found


# --- GitLab ---


def test_gitlab_gets_a_code_quality_report_and_the_log_the_text(repository: Path) -> None:
    app = repository / "apps" / "api"
    app.mkdir(parents=True)
    (app / "uv.lock").write_text("")
    sarif(
        app,
        finding("the lock is drifted.\nTo mend it: uv lock", "uv.lock", 3),
        finding("made from another index", "uv.lock", level="warning", rule="index-mismatch"),
        finding("see", "uv.lock", 1, level="note"),
    )

    done = show(app, "gitlab", "r.sarif", "--fail-on", "error")

    assert done.returncode == 1
    assert "error: apps/api/uv.lock:3: the lock is drifted.\n  | To mend it: uv lock [drifted]" in done.stdout
    assert "= checker: 1 error, 1 warning, 1 note" in done.stdout
    told = {
        (each["check_name"], each["severity"], each["location"]["path"], each["location"]["lines"]["begin"])
        for each in entries(app)
    }
    assert told == {
        ("drifted", "major", "apps/api/uv.lock", 3),
        ("index-mismatch", "minor", "apps/api/uv.lock", 1),
        ("drifted", "info", "apps/api/uv.lock", 1),
    }
    assert "the lock is drifted. To mend it: uv lock" in [each["description"] for each in entries(app)]


def test_a_fingerprint_outlives_lines_that_move(repository: Path) -> None:
    before = (finding("at line 4: a", "x.py", 4), finding("b", "x.py", 9), finding("b", "x.py", 12))
    after = (finding("at line 8: a", "x.py", 8), finding("b", "x.py", 13), finding("b", "x.py", 16))
    prints = []
    for results in (before, after):
        sarif(repository, *results)
        (repository / REPORT).unlink(missing_ok=True)
        show(repository, "gitlab", "r.sarif")
        prints.append([each["fingerprint"] for each in entries(repository)])

    assert prints[0] == prints[1]
    assert len(set(prints[0])) == 3


def test_calls_of_one_job_add_up_and_another_job_begins_anew(repository: Path) -> None:
    sarif(repository, finding("a", "x.py", 1), name="a.sarif")
    sarif(repository, finding("a", "x.py", 1), finding("b", "x.py", 2), name="b.sarif")
    sarif(repository, name="none.sarif")

    for name in ("a.sarif", "b.sarif", "none.sarif"):
        assert show(repository, "gitlab", name, CI_JOB_ID="1").returncode == 0
    assert [each["description"] for each in entries(repository)] == ["a", "b"]

    show(repository, "gitlab", "none.sarif", CI_JOB_ID="2")
    assert entries(repository) == []


def test_the_report_goes_where_it_is_wanted(repository: Path) -> None:
    sarif(repository, finding("a", "x.py", 1))

    show(repository, "gitlab", "r.sarif", UV_ACTIONS_CI_REPORT_OUTPUT="reports/quality.json")

    assert len(entries(repository, "reports/quality.json")) == 1
    assert not (repository / REPORT).exists()


def test_a_report_that_is_none_is_replaced(repository: Path) -> None:
    (repository / REPORT).write_text("<html>")
    sarif(repository, finding("a", "x.py", 1))

    done = show(repository, "gitlab", "r.sarif")

    assert f"warning: {REPORT} is no Code Quality report" in done.stderr
    assert len(entries(repository)) == 1


def test_findings_without_a_file_of_the_repository_have_a_place_too(repository: Path, tmp_path: Path) -> None:
    sarif(repository, finding("it broke off"), finding("outside", (tmp_path / "other.py").as_uri(), 7))

    show(repository, "gitlab", "r.sarif")

    told = [(each["location"]["path"], each["location"]["lines"]["begin"]) for each in entries(repository)]
    assert told == [("pyproject.toml", 1)] * 2
    assert f"{tmp_path / 'other.py'}:7 outside" in [each["description"] for each in entries(repository)]


def test_gitlab_reads_junit_itself(repository: Path) -> None:
    junit(repository, '<testcase name="test_a"><failure message="1 is not 2"/></testcase>', '<testcase name="b"/>')

    done = show(repository, "gitlab", "r.xml")

    assert "error: 1 is not 2 [test_a]" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
    assert not (repository / REPORT).exists()


def test_hostile_text_is_data_in_the_report(repository: Path) -> None:
    hostile = 'a"b\\ \x1b[31m$(x) `y` ${{ z }} \r\n::error::x <img src=x>\ud83d'
    sarif(repository, finding(hostile, "x $(y).py", 1, rule=hostile))

    show(repository, "gitlab", "r.sarif")

    (entry,) = entries(repository)
    assert entry["description"] == 'a"b\\ $(x) `y` ${{ z }} ::error::x <img src=x>?'
    assert entry["location"]["path"] == "x $(y).py"


@pytest.mark.parametrize(
    ("platform", "variable"),
    [("gitlab", "CI_PROJECT_DIR"), ("jenkins", "WORKSPACE"), ("buildkite", "BUILDKITE_BUILD_CHECKOUT_PATH")],
)
def test_without_git_paths_start_at_the_checkout(tmp_path: Path, platform: str, variable: str) -> None:
    folder = tmp_path / "sub"
    folder.mkdir()
    sarif(folder, finding("a", "x.py", 1))

    done = show(folder, platform, "r.sarif", PATH=os.defpath, **{variable: str(tmp_path)})

    assert "error: sub/x.py:1: a" in done.stdout


# --- Buildkite ---


def annotate(folder: Path, agent: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{agent}{os.pathsep}{os.environ['PATH']}"
    return show(folder, "buildkite", *arguments, **{"PATH": path, "BUILDKITE_JOB_ID": "0198-job", **variables})


@pytest.mark.parametrize(
    ("levels", "style"),
    [(("note", "error"), "error"), (("warning", "note"), "warning"), (("note",), "info"), ((), "success")],
)
def test_buildkite_gets_one_annotation(repository: Path, agent: Path, levels: tuple[str, ...], style: str) -> None:
    sarif(repository, *(finding(f"it is {level}", "x.py", 3, level) for level in levels))

    done = annotate(repository, agent, "r.sarif", "--title", "Lock")

    (call,) = calls(agent)
    assert call["arguments"][:3] == ["annotate", "--style", style]
    assert re.fullmatch(r"uv-actions-0198-job-[0-9a-f]{12}", call["arguments"][4])
    assert call["body"].startswith("### Lock: ")
    for level in levels:
        assert f"it is {level}" in call["body"]
        assert f"{level}: x.py:3: it is {level}" in done.stdout


def test_a_later_call_for_the_same_replaces_the_annotation_and_others_do_not(repository: Path, agent: Path) -> None:
    (repository / "app").mkdir()
    sarif(repository)
    for arguments in (
        ["--title", "A"],
        ["--title", "A"],
        ["--title", "B"],
        ["--title", "A", "--working-directory=app"],
    ):
        annotate(repository, agent, "r.sarif", *arguments)
    annotate(repository, agent, "r.sarif", "--title", "A", BUILDKITE_JOB_ID="0198-other")

    contexts = [call["arguments"][4] for call in calls(agent)]
    assert contexts[0] == contexts[1]
    assert len(set(contexts)) == 4


def test_failed_tests_are_in_the_annotation_with_their_tracebacks(repository: Path, agent: Path) -> None:
    junit(repository, '<testcase classname="t" name="test_a"><failure message="no">trace\nE no</failure></testcase>')

    annotate(repository, agent, "r.xml")

    (call,) = calls(agent)
    assert call["arguments"][2] == "error"
    assert "| `t::test_a` |" in call["body"]
    assert "trace\nE no" in call["body"]


def test_an_annotation_stays_below_what_buildkite_takes(repository: Path, agent: Path) -> None:
    case = '<testcase classname="t" name="test_{}"><failure message="{}">{}</failure></testcase>'
    junit(repository, *(case.format(count, "ä" * 500, "trace\n" * 100) for count in range(4000)))

    annotate(repository, agent, "r.xml")

    (call,) = calls(agent)
    assert 1_000_000 < len(call["body"].encode()) <= 1024 * 1024
    assert "This summary was cut" in call["body"]


def test_hostile_text_is_no_markup_in_an_annotation(repository: Path, agent: Path) -> None:
    hostile = "a|b <img src=x onerror=alert(1)> [l](http://evil) `c` **b** :rocket: <!-- \n--- group\n+++ x\x1b[31mred"
    sarif(repository, finding(hostile, rule=hostile))

    done = annotate(repository, agent, "r.sarif", "--title", hostile)

    rendered = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(calls(agent)[0]["body"])
    assert set(re.findall(r"<(\w+)", rendered)) == {"h3", "table", "thead", "tbody", "tr", "th", "td", "code", "br"}
    assert not re.search(r"^(---|\+\+\+|~~~|\^\^\^)|\x1b", done.stdout, re.MULTILINE)


def test_an_agent_that_fails_fails_no_job(repository: Path, agent: Path) -> None:
    sarif(repository, finding("a", "x.py", 1))

    done = annotate(repository, agent, "r.sarif", AGENT_ENDS_WITH="1")

    assert done.returncode == 0
    assert "error: x.py:1: a" in done.stdout
    assert "made no annotation: exit code 1: fatal: the API says 422" in done.stderr
    assert annotate(repository, agent, "r.sarif", "--fail-on=error", AGENT_ENDS_WITH="1").returncode == 1


def test_without_an_agent_there_is_text(repository: Path, tmp_path: Path) -> None:
    sarif(repository, finding("a", "x.py", 1))

    done = show(repository, "buildkite", "r.sarif", PATH=str(tmp_path))

    assert done.returncode == 0
    assert "error: x.py:1: a" in done.stdout
    assert "without `buildkite-agent`" in done.stderr
