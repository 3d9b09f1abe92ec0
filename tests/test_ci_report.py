"""What `ci_report` makes of reports: on which line, how much of it, and what it does with text of others."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

TOOL = Path(__file__).resolve().parents[1] / "scripts" / "ci_report.py"

FAILING = """\
import json

import pytest


def check(value):
    assert value == 2, "not two"


def test_by_helper():
    check(1)


class TestInside:
    @pytest.mark.parametrize("text", ["a|b"])
    def test_deep(self, text):
        json.loads("{")


@pytest.fixture
def broken():
    raise RuntimeError("no database")


def test_setup(broken):
    pass


@pytest.mark.xfail
def test_expected():
    assert False


@pytest.mark.skip
def test_left_out():
    pass


def test_fine():
    pass
"""


@dataclass
class Result:
    """How a run of the tool ended. `annotations` are (level, file, line, title, message)."""

    code: int
    log: str
    errors: str
    summary: str

    @property
    def annotations(self) -> list[tuple[str, str, str, str, str]]:
        found = []
        for line in self.log.splitlines():
            if match := re.match(r"::(error|warning|notice)(?: (.*?))?::(.*)", line):
                given = dict(pair.split("=", 1) for pair in (match[2] or "").split(",") if pair)
                file, place, title = (unescape(given.get(name, "")) for name in ("file", "line", "title"))
                found.append((str(match[1]), file, place, title, unescape(match[3])))
        return found


def unescape(text: str) -> str:
    for code, character in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, character)
    return text


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "my repo"
    (root / ".git").mkdir(parents=True)
    return root


def show(folder: Path, *arguments: str | Path, github: bool = False, **variables: str) -> Result:
    """Runs the tool in a folder, on GitHub or not."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "UV_ACTIONS"))}
    summary = folder / "step-summary.md"
    if github:
        environment |= {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    result = subprocess.run(
        [sys.executable, TOOL, *arguments],
        cwd=folder,
        env={**environment, **variables},
        capture_output=True,
        encoding="utf-8",
    )
    assert "Traceback (most recent call last)" not in result.stderr
    text = summary.read_text(encoding="utf-8") if summary.exists() else ""
    return Result(result.returncode, result.stdout, result.stderr, text)


def run_pytest(folder: Path, *arguments: str) -> Path:
    """The JUnit report of a real pytest on the tests in a folder."""
    options = ["-q", "-p", "no:xdist", "-c", os.devnull, "--rootdir", folder, "--continue-on-collection-errors"]
    subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--junitxml=report.xml", *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    return folder / "report.xml"


def sarif(*results: dict[str, Any], **run: Any) -> str:
    """A SARIF file with one run of a tool named `checker`."""
    run.setdefault("tool", {"driver": {"name": "checker"}})
    return json.dumps({"version": "2.1.0", "runs": [{**run, "results": list(results)}]})


def at(uri: str, line: int | None = None, **location: Any) -> dict[str, Any]:
    """A result at a place."""
    region = {"region": {"startLine": line}} if line else {}
    place = {"physicalLocation": {"artifactLocation": {"uri": uri, **location}, **region}}
    return {"ruleId": "R1", "message": {"text": "wrong"}, "locations": [place]}


def junit(*cases: str) -> str:
    return f'<testsuites><testsuite name="suite">{"".join(cases)}</testsuite></testsuites>'


# --- JUnit: lines ---


@pytest.mark.parametrize(
    ("style", "helper", "deep", "setup"),
    [
        ("auto", "11", "17", "22"),
        ("short", "11", "17", "22"),
        ("native", "11", "17", "22"),
        # pytest's report has no place at all then: the line of the test's definition.
        ("line", "10", "16", "25"),
        ("no", "10", "16", "25"),
    ],
)
def test_failed_tests_are_annotated_on_their_lines(
    repository: Path, style: str, helper: str, deep: str, setup: str
) -> None:
    folder = repository / "apps" / "my api"
    (folder / "tests").mkdir(parents=True)
    (folder / "tests" / "test_x.py").write_text(FAILING)
    file = "apps/my api/tests/test_x.py"

    result = show(folder, run_pytest(folder, f"--tb={style}"), github=True)

    assert result.code == 0
    assert [(level, place, line, title) for level, place, line, title, _ in result.annotations] == [
        ("error", file, helper, f"{file}::test_by_helper"),
        ("error", file, deep, f"{file}::TestInside::test_deep[a|b]"),
        ("error", file, setup, f"{file}::test_setup"),
    ]
    assert "not two" in result.annotations[0][4]
    assert "| 1 | 3 | 2 |" in result.summary
    assert f"`{file}:{helper}`" in result.summary


def test_a_run_in_a_subfolder_is_shown_from_elsewhere(repository: Path) -> None:
    folder = repository / "apps" / "api"
    folder.mkdir(parents=True)
    (folder / "test_x.py").write_text("def test_x():\n    assert 1 == 2\n")
    run_pytest(folder)

    result = show(repository, "apps/api/report.xml", "--working-directory", "apps/api", github=True)

    assert [annotation[1:3] for annotation in result.annotations] == [("apps/api/test_x.py", "2")]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [("import nowhere\n", "1", "No module named 'nowhere'"), ("x = 1\ndef broken(:\n", "2", "SyntaxError")],
)
def test_a_file_that_cannot_be_collected_is_annotated(repository: Path, text: str, line: str, message: str) -> None:
    (repository / "test_x.py").write_text(text)

    result = show(repository, run_pytest(repository), github=True)

    assert [annotation[1:3] for annotation in result.annotations] == [("test_x.py", line)]
    assert message in result.annotations[0][4]


def test_the_line_is_the_tests_own_not_one_of_an_installed_package(repository: Path) -> None:
    package = repository / ".venv" / "lib" / "python3.12" / "site-packages" / "dependency.py"
    package.parent.mkdir(parents=True)
    package.write_text("\n" * 9)
    (repository / "helper.py").write_text("\n" * 9)
    trace = f"{package}:7: in f\nhelper.py:3: in g\n{package}:9: ValueError"
    (repository / "r.xml").write_text(junit(f'<testcase name="t"><failure>{trace}</failure></testcase>'))

    result = show(repository, "r.xml", github=True)

    assert [annotation[1:3] for annotation in result.annotations] == [("helper.py", "3")]


def test_reports_of_other_runners(repository: Path) -> None:
    (repository / "src").mkdir()
    (repository / "src" / "sum.test.js").write_text("\n" * 20)
    (repository / "r.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites><testsuite><testsuite>'
        '<testcase classname="sum" name="adds" time="1,002.5"><failure>Error: 3\n'
        "  at Object.toBe (src/sum.test.js:12:5)</failure></testcase>"
        '<testcase name="gtest" file="src/sum.test.js" line="7"><failure message="bad"/></testcase>'
        '<testcase name="off"><skipped/></testcase><testcase name="ok"/>'
        "</testsuite></testsuite></testsuites>"
    )

    result = show(repository, "r.xml", "--json", "out.json", github=True)

    assert [annotation[1:3] for annotation in result.annotations] == [
        ("src/sum.test.js", "12"),
        ("src/sum.test.js", "7"),
    ]
    tests = json.loads((repository / "out.json").read_text())["tests"]
    assert tests == {"passed": 1, "failed": 2, "skipped": 1, "seconds": 1002.5}


# --- SARIF ---


def test_paths_are_relative_to_the_repository_however_they_are_given(repository: Path) -> None:
    folder = repository / "apps" / "api"
    (folder / "src").mkdir(parents=True)
    for file in (folder / "src" / "a b.py", repository / "root.py"):
        file.write_text("x = 1\n")
    bases = {"ROOT": {"uri": repository.as_uri() + "/"}, "APP": {"uri": "apps/api/", "uriBaseId": "ROOT"}}
    (folder / "r.sarif").write_text(
        sarif(
            at((folder / "src" / "a b.py").as_uri(), 1),
            at("src/a%20b.py", 2),
            at("root.py", 3),
            at("apps/api/src/a%20b.py", 4, uriBaseId="%SRCROOT%"),
            at("src/a%20b.py", 5, uriBaseId="APP"),
            at("", 6, index=0),
            at("../../root.py", 7),
            at("https://example.org/x.py", 8),
            {"ruleId": "R1", "message": {"text": "no place"}},
            originalUriBaseIds=bases,
            artifacts=[{"location": {"uri": "root.py"}}],
        )
    )

    result = show(folder, "r.sarif", github=True)

    inside = "apps/api/src/a b.py"
    assert [annotation[1:3] for annotation in result.annotations] == [
        (inside, "1"),
        (inside, "2"),
        ("root.py", "3"),
        (inside, "4"),
        (inside, "5"),
        ("root.py", "6"),
        ("root.py", "7"),
        ("", ""),
        ("", ""),
    ]


def test_a_file_outside_of_the_repository_is_named_in_the_message(repository: Path, tmp_path: Path) -> None:
    (repository / "r.sarif").write_text(sarif(at((tmp_path / "other.py").as_uri(), 3)))

    ((_, file, line, _, message),) = show(repository, "r.sarif", github=True).annotations

    assert (file, line) == ("", "")
    assert message == f"{tmp_path / 'other.py'}:3: wrong"


def test_levels_messages_and_links_come_from_the_rule_where_the_result_has_none(repository: Path) -> None:
    rules = [
        {"id": "E1", "defaultConfiguration": {"level": "error"}, "shortDescription": {"text": "short"}},
        {"id": "N1", "defaultConfiguration": {"level": "note"}, "messageStrings": {"m": {"text": "found {0}"}}},
        {"id": "U1", "helpUri": "https://example.org/U1"},
    ]
    (repository / "r.sarif").write_text(
        sarif(
            {"ruleId": "E1", "message": {}},
            {"ruleIndex": 1, "message": {"id": "m", "arguments": ["it"]}},
            {"rule": {"id": "U1/sub"}, "message": {"text": "linked"}},
            {"message": {"text": "bare"}},
            {"level": "none", "message": {"text": "none"}},
            {"kind": "review", "message": {"text": "review"}},
            {"kind": "pass", "ruleId": "E1", "message": {"text": "passed"}},
            {"baselineState": "absent", "ruleId": "E1", "message": {"text": "gone"}},
            tool={"driver": {"name": "checker", "rules": rules}},
        )
    )

    result = show(repository, "r.sarif", github=True)

    assert [(level, title, message) for level, _, _, title, message in result.annotations] == [
        ("error", "E1", "short"),
        ("warning", "U1/sub", "linked\nhttps://example.org/U1"),
        ("warning", "", "bare"),
        ("notice", "N1", "found it"),
        ("notice", "", "none"),
        ("notice", "", "review"),
    ]


def test_suppressed_results_are_counted_not_shown(repository: Path) -> None:
    finding = {"ruleId": "R1", "level": "error", "message": {"text": "x"}}
    states = [
        [{"kind": "inSource"}],
        [{"status": "accepted"}],
        [{"status": "rejected"}],
        [{"status": "underReview"}],
        [],
    ]
    (repository / "r.sarif").write_text(sarif(*({**finding, "suppressions": state} for state in states)))

    result = show(repository, "r.sarif", github=True)

    assert len(result.annotations) == 3
    assert "3 errors (2 suppressed)" in result.summary


def test_a_tool_that_broke_off_is_not_without_findings(repository: Path) -> None:
    crash = {"level": "error", "message": {"text": "can't parse x.py"}}
    run = {"invocations": [{"executionSuccessful": False, "toolExecutionNotifications": [crash]}]}
    (repository / "r.sarif").write_text(sarif(**run))

    result = show(repository, "r.sarif", "--fail-on", "error")

    assert result.code == 1
    assert "error: can't parse x.py" in result.log


def test_several_runs_and_files_have_a_heading_each(repository: Path) -> None:
    runs = [{"tool": {"driver": {"name": name}}, "results": []} for name in ("one", "two")]
    (repository / "a.sarif").write_text(json.dumps({"version": "2.1.0", "runs": runs}))
    (repository / "b.xml").write_text(junit('<testcase name="t"/>'))

    result = show(repository, "a.sarif", "b.xml", "--title", "Checks", github=True)

    assert re.findall("^### (.*)$", result.summary, re.MULTILINE) == [
        "Checks: one: no findings",
        "Checks: two: no findings",
        "Checks: Tests: 1 passed in 0.0 s",
    ]


def test_what_ruff_and_zizmor_write(repository: Path) -> None:
    (repository / "src").mkdir()
    (repository / "src" / "x.py").write_text("x = 1\nimport os\n")
    workflow = repository / ".github" / "workflows" / "ci.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ github.head_ref }}\n"
    )
    binaries = Path(sys.executable).parent
    ruff = [binaries / "ruff", "check", "--isolated", "--output-format=sarif", "."]
    zizmor = [binaries / "zizmor", "--offline", "--format=sarif", "."]
    for name, command in (("ruff", ruff), ("zizmor", zizmor)):
        with (repository / f"{name}.sarif").open("w") as file:
            subprocess.run(command, cwd=repository, stdout=file, stderr=subprocess.DEVNULL)

    ruff_result = show(repository, "ruff.sarif", github=True)
    assert ("error", "src/x.py", "2", "F401") in [annotation[:4] for annotation in ruff_result.annotations]
    zizmor_result = show(repository, "zizmor.sarif", github=True)
    places = [(file, line, title) for _, file, line, title, _ in zizmor_result.annotations]
    assert (".github/workflows/ci.yml", "6", "zizmor/template-injection") in places


def test_a_report_in_utf_16_as_powershell_writes_it(repository: Path) -> None:
    (repository / "r.sarif").write_text(sarif(at("x.py", 3)), encoding="utf-16")

    assert "x.py:3" in show(repository, "r.sarif").log


# --- Limits ---


def test_github_gets_nine_annotations_a_level_and_the_rest_is_told(repository: Path) -> None:
    rules = [(level, f"{level}-{count}") for count in range(12) for level in ("note", "error", "warning")]
    results = [{"level": level, "ruleId": rule, "message": {"text": "x"}} for level, rule in rules]
    (repository / "r.sarif").write_text(sarif(*results))

    result = show(repository, "r.sarif", github=True)

    levels = [annotation[0] for annotation in result.annotations]
    assert {level: levels.count(level) for level in levels} == {"error": 9, "warning": 9, "notice": 9}
    assert "9 more findings are only here" in result.summary
    for _, rule in rules:
        assert f"`{rule}`" in result.summary
        assert rule in result.log


@pytest.mark.parametrize("earlier", [0, 600_000])
def test_the_summary_stays_below_what_github_takes(repository: Path, earlier: int) -> None:
    case = '<testcase classname="t" name="test_{}"><failure message="{}">{}</failure></testcase>'
    cases = (case.format(count, "ä" * 500, "trace\n" * 100) for count in range(4000))
    (repository / "r.xml").write_text(junit(*cases), encoding="utf-8")
    (repository / "step-summary.md").write_text("x" * earlier + "\n")

    result = show(repository, "r.xml", github=True)

    size = len(result.summary.encode())
    assert 850_000 < size < 900_100
    assert "This summary was cut" in result.summary
    shown = result.summary.count("\n| `t::test_")
    assert f"{4000 - shown} findings are missing" in result.summary
    assert "4000 failed" in result.summary


def test_long_messages_are_cut(repository: Path) -> None:
    (repository / "r.sarif").write_text(sarif({"ruleId": "R" * 999, "message": {"text": "y" * 99_999}}))

    result = show(repository, "r.sarif", github=True)

    ((_, _, _, title, message),) = result.annotations
    assert len(title) == 200
    assert len(message) == 4000
    assert len(result.summary) < 2000


# --- Text of others ---

HOSTILE = (
    "a|b <img src=x onerror=alert(1)> [link](http://evil) `code` **bold** <!-- \n::error::forged\n"
    "##[add-mask]x\r::set-env::\x1b[31mred\x07 | --- | $x$ ~~s~~ _i_ \\| </details> ![i](http://evil/i.png)"
)


def test_hostile_text_stays_text(repository: Path) -> None:
    (repository / "r.sarif").write_text(
        sarif(
            {
                "ruleId": HOSTILE,
                "message": {"text": HOSTILE},
                "level": "error",
                "locations": at(HOSTILE, 3)["locations"],
            }
        )
    )

    result = show(repository, "r.sarif", "--title", HOSTILE, github=True)

    assert len(result.annotations) == 1
    assert not re.search(r"\x1b|\x07|\r", result.log)
    assert not re.search(r"##\[", "".join(line for line in result.log.splitlines() if not line.startswith("::error ")))
    rendered = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(result.summary)
    tags = set(re.findall(r"<(\w+)", rendered))
    assert tags == {"h3", "table", "thead", "tbody", "tr", "th", "td", "code", "br"}
    assert rendered.count("<tr>") == 2
    assert rendered.count("<td>") == 4
    assert "[link](http" in rendered.replace("&#58;", ":")


def test_hostile_tracebacks_stay_in_their_fence(repository: Path) -> None:
    trace = "```\n</details><b>x</b>\n````\n::error::forged\n# head"
    case = f'<testcase name="a&lt;b&gt;"><failure message="m"><![CDATA[{trace}]]></failure></testcase>'
    (repository / "r.xml").write_text(junit(case))

    result = show(repository, "r.xml", github=True)

    rendered = MarkdownIt("commonmark").enable("table").render(result.summary)
    assert "<b>" not in rendered
    assert rendered.count("</details>") == 1
    assert "<h1>" not in rendered
    assert len(result.annotations) == 1


def test_text_for_the_log_cannot_be_a_workflow_command(repository: Path) -> None:
    (repository / "r.sarif").write_text(sarif({"message": {"text": HOSTILE}}, {"message": {"text": "::error::x"}}))

    result = show(repository, "r.sarif", "--platform", "text", GITHUB_ACTIONS="true")

    assert result.annotations == []
    assert not re.search(r"^\s*::|##\[", result.log, re.MULTILINE)


def test_half_characters_and_a_narrow_console(repository: Path) -> None:
    (repository / "r.sarif").write_text('{"version":"2.1.0","runs":[{"results":[{"message":{"text":"\\ud83d ü→"}}]}]}')

    result = show(repository, "r.sarif", PYTHONIOENCODING="ascii")

    assert result.code == 0
    assert "ü→" in result.log


# --- Reports that aren't ---

BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>'


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("bomb.xml", BOMB, "DOCTYPE"),
        ("external.xml", '<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuite/>', "DOCTYPE"),
        ("cut.xml", '<testsuite><testcase name="a">', "no valid XML"),
        ("entity.xml", "<testsuite>&nope;</testsuite>", "no valid XML"),
        ("encoding.xml", '<?xml version="1.0" encoding="klingon"?><testsuite/>', "no valid XML"),
        ("coverage.xml", "<coverage/>", "not JUnit: it starts with <coverage>"),
        ("empty.xml", "", "it is empty"),
        ("blank.sarif", " \n", "it is empty"),
        ("cut.sarif", '{"version": "2.1.0", "runs": [', "no valid JSON"),
        ("deep.sarif", '{"runs":' + "[" * 100_000, "no valid JSON"),
        ("other.json", '{"findings": []}', "not SARIF"),
        ("old.sarif", '{"version": "2.0.0", "runs": []}', "SARIF 2.0.0"),
        ("notes.txt", "all is well", "neither SARIF nor JUnit"),
        ("absent.xml", None, "No such file"),
    ],
)
def test_what_cannot_be_read_is_told(repository: Path, name: str, text: str | None, message: str) -> None:
    if text is not None:
        (repository / name).write_text(text)

    result = show(repository, name)

    assert result.code == 2
    assert message in result.errors
    assert name in result.errors
    assert "To mend it: " in result.errors


def test_wrong_types_count_as_not_given(repository: Path) -> None:
    results = [
        {"message": 3, "locations": None, "ruleId": ["x"], "level": 7, "suppressions": "no"},
        {
            "message": {"text": None},
            "locations": [3, {"physicalLocation": {"region": [], "artifactLocation": {"index": 9}}}],
        },
        {"ruleIndex": -5, "rule": 4, "message": {"text": "m", "arguments": {}}, "locations": {"a": 1}},
        {**at("x.py"), "locations": [{"physicalLocation": {"artifactLocation": {"uri": "file://[", "uriBaseId": 3}}}]},
    ]
    run = {"results": [*results, None], "tool": [], "invocations": 3, "originalUriBaseIds": 4}
    (repository / "r.sarif").write_text(json.dumps({"version": "2.1.0", "runs": [run, None, 3]}))

    result = show(repository, "r.sarif")

    assert result.code == 0
    assert "4 warnings" in result.log


@pytest.mark.parametrize(("fail_on", "code"), [("never", 0), ("error", 0), ("warning", 1), ("note", 1)])
def test_fail_on(repository: Path, fail_on: str, code: int) -> None:
    (repository / "r.sarif").write_text(sarif(at("x.py", 1)))

    assert show(repository, "r.sarif", "--fail-on", fail_on).code == code


def test_without_git_paths_start_at_githubs_workspace(tmp_path: Path) -> None:
    folder = tmp_path / "sub"
    folder.mkdir()
    (folder / "x.py").write_text("")
    (folder / "r.sarif").write_text(sarif(at("x.py", 1)))

    result = show(folder, "r.sarif", github=True, GITHUB_WORKSPACE=str(tmp_path))

    assert [annotation[1] for annotation in result.annotations] == ["sub/x.py"]
