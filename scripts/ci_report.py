#!/usr/bin/env -S uv run --no-config --locked --script
# /// script
# requires-python = ">=3.10"
# dependencies = []
# ///
"""Shows what SARIF and JUnit reports say, the way the CI platform shows things.

On GitHub: annotations on the lines to mend and a table in the step's summary. On GitLab: a Code Quality report of what
SARIF says (JUnit it reads itself). On Buildkite: an annotation of the build. There and everywhere else: text on stdout.
Paths in the result are relative to the root of the repository, wherever the reporting tool ran.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from _common import (
    AGENT_SECONDS,
    Exit,
    Failure,
    Finding,
    Parser,
    add_summary,
    as_json,
    exit_for,
    github_command,
    platform,
    run_main,
    say,
    warn,
    write_atomic,
)

LEVELS = ("error", "warning", "note")

# GitHub keeps 10 annotations of a level for a step, and a failing step's exit code takes one of the errors.
ANNOTATIONS = 9
# The runner cuts an annotation's message at 4096 characters.
ANNOTATION_CHARACTERS = 4000
# GitHub drops the whole summary of a step above 1 MiB; other steps of the same component may add to it.
SUMMARY_BYTES = 900_000
# Buildkite takes an annotation of at most 1 MiB.
BUILDKITE_BYTES = 1024 * 1024
# GitLab's severity of a level. Its two highest, `critical` and `blocker`, are left to those who scan for weaknesses.
GITLAB_SEVERITIES = {"error": "major", "warning": "minor", "note": "info"}
# One traceback must not take the place of all the others.
DETAIL_CHARACTERS = 8000
TITLE_CHARACTERS = 200
CELL_CHARACTERS = 1000

# The variable with the folder of the job's checkout, where `.git` doesn't show it.
CHECKOUTS = {
    "github": "GITHUB_WORKSPACE",
    "gitlab": "CI_PROJECT_DIR",
    "jenkins": "WORKSPACE",
    "buildkite": "BUILDKITE_BUILD_CHECKOUT_PATH",
}


@dataclasses.dataclass(frozen=True)
class Found(Finding):
    """A finding with its long text: the traceback of a failed test."""

    detail: str = ""


@dataclasses.dataclass(frozen=True)
class Tests:
    """How many test cases ended in which way; `failed` holds errors too. `seconds` is the sum over the cases."""

    passed: int
    failed: int
    skipped: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class Report:
    """One run of one tool: a run of a SARIF file, or a JUnit file. `tests` is there for JUnit alone."""

    name: str
    findings: list[Found]
    suppressed: int = 0
    tests: Tests | None = None


@dataclasses.dataclass(frozen=True)
class Tree:
    """The checkout: `root` is the repository's root, `base` the folder that the reporting tool ran in."""

    root: Path
    base: Path

    def relative(self, path: str | Path, start: Path) -> str:
        """The path relative to the root; one that lies outside of the repository stays absolute."""
        full = os.path.normpath(start / path)
        for root, candidate in ((self.root, full), (os.path.realpath(self.root), os.path.realpath(full))):
            if Path(candidate).is_relative_to(root):
                return Path(candidate).relative_to(root).as_posix()
        return Path(full).as_posix()


def main() -> int:
    parser = Parser(prog="ci_report", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a report: SARIF 2.1.0 or JUnit XML")
    parser.add_argument("--title", default="", help="heading of the result (default: the reporting tool's name)")
    parser.add_argument("--platform", default="auto", choices=["auto", *PLATFORMS], help="whose form (default: auto)")
    parser.add_folder("the folder in which the reporting tool ran: relative paths start there (default: .)")
    parser.add_argument(
        "--output",
        type=Path,
        default="gl-code-quality-report.json",
        metavar="FILE",
        help="GitLab: the Code Quality report, to which a job's later calls add (default: gl-code-quality-report.json)",
    )
    parser.add_argument("--fail-on", default="never", choices=["never", *LEVELS], help="exit 1 from this level on")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was read as one JSON object")
    options = parser.parse_args()

    tree = find_tree(options.working_directory)
    reports = [report for file in options.files for report in read(file, tree)]
    if options.title:
        reports = [with_title(report, options.title, alone=len(reports) == 1) for report in reports]
    findings = [finding for report in reports for finding in report.findings]
    code = exit_for(findings, options.fail_on)
    if options.json:
        options.json.write_text(json_of(reports, ok=code is Exit.OK), encoding="utf-8")

    use_utf8()
    PLATFORMS[options.platform if options.platform != "auto" else detect()](reports, tree, options)
    return code


def find_tree(base: Path) -> Tree:
    """The repository around a folder: the nearest one with `.git`, else the job's checkout, else the folder itself."""
    for folder in (base, *base.parents):
        if (folder / ".git").exists():
            return Tree(folder, base)
    workspace = Path(os.environ.get(CHECKOUTS.get(platform(), "")) or base)
    return Tree(workspace if base.is_relative_to(workspace) else base, base)


def with_title(report: Report, title: str, alone: bool) -> Report:
    return dataclasses.replace(report, name=clean(title) if alone else f"{clean(title)}: {report.name}")


def json_of(reports: Sequence[Report], ok: bool) -> str:
    """All findings, with the sums over the test runs as `tests` (null where no report was JUnit)."""
    runs = [report.tests for report in reports if report.tests]
    tests = {
        "passed": sum(run.passed for run in runs),
        "failed": sum(run.failed for run in runs),
        "skipped": sum(run.skipped for run in runs),
        "seconds": round(sum(run.seconds for run in runs), 3),
    }
    findings = [finding for report in reports for finding in report.findings]
    suppressed = sum(report.suppressed for report in reports)
    return as_json(findings, ok, suppressed=suppressed, tests=tests if runs else None)


def use_utf8() -> None:
    """Windows would write its code page, and stop at the first character outside of it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


# ---------------------------------------------------------------------------------------------------------------------
# Reading


def read(file: Path, tree: Tree) -> list[Report]:
    """The reports in a file: one for each run of a SARIF file, one for a JUnit file."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise Failure(f"can't read the report {file}: {error.strerror}", "check that the tool wrote it there") from None
    # What PowerShell's `>` writes is UTF-16 with a byte order mark.
    head = data[:1000].lstrip(b"\xef\xbb\xbf\xff\xfe").replace(b"\0", b"").lstrip()
    if not head:
        raise broken(file, "it is empty")
    if head.startswith(b"{"):
        return read_sarif(file, data, tree)
    if head.startswith(b"<"):
        return [read_junit(file, data, tree)]
    raise Failure(f"the report {file} is neither SARIF nor JUnit XML", "give a SARIF 2.1.0 or a JUnit XML file")


def broken(file: Path, why: str) -> Failure:
    return Failure(
        f"the report {file} can't be read: {why}",
        "look in the log at how the tool that wrote it ended, then run that tool again",
    )


def read_sarif(file: Path, data: bytes, tree: Tree) -> list[Report]:
    """The runs of a SARIF 2.1.0 file.

    Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise broken(file, f"it is no valid JSON ({error})") from None
    if not isinstance(document.get("runs"), list):
        raise Failure(f"the report {file} is JSON, but not SARIF: it has no `runs`", "give a SARIF 2.1.0 file")
    if document.get("version", "2.1.0") != "2.1.0":
        raise Failure(f"the report {file} is SARIF {document['version']}", "let the tool write SARIF 2.1.0")
    return [read_run(run, tree) for run in items(document["runs"])]


def read_run(run: dict[str, Any], tree: Tree) -> Report:
    results = [result for result in items(run.get("results")) if is_finding(result)]
    shown = [result for result in results if not is_suppressed(result)]
    findings = [read_result(result, run, tree) for result in shown]
    name = clean(string(obj(obj(run.get("tool")).get("driver")).get("name"))) or "findings"
    return Report(name, [*findings, *tool_errors(run)], suppressed=len(results) - len(shown))


def is_finding(result: dict[str, Any]) -> bool:
    """A result can also say that all is well, or that what a baseline held is gone (SARIF §3.27.9, §3.27.24)."""
    return result.get("kind") not in ("pass", "notApplicable") and result.get("baselineState") != "absent"


def is_suppressed(result: dict[str, Any]) -> bool:
    """A suppression counts as accepted unless one is rejected or still under review (SARIF §3.27.23, §3.35.3)."""
    suppressions = items(result.get("suppressions"))
    return bool(suppressions) and all(each.get("status", "accepted") == "accepted" for each in suppressions)


def tool_errors(run: dict[str, Any]) -> list[Found]:
    """What stopped the tool itself: without them a run that broke off would look like one without findings."""
    notifications = [
        notification
        for invocation in items(run.get("invocations"))
        for kind in ("toolExecutionNotifications", "toolConfigurationNotifications")
        for notification in items(invocation.get(kind))
        if notification.get("level") == "error"
    ]
    return [
        Found(
            rule=clean(string(obj(each.get("descriptor")).get("id"))) or "tool",
            level="error",
            message=clean(string(obj(each.get("message")).get("text"))) or "the tool reports an error of its own",
        )
        for each in notifications
    ]


def read_result(result: dict[str, Any], run: dict[str, Any], tree: Tree) -> Found:
    rule = find_rule(result, run)
    file, region = find_place(result, run, tree)
    line = number(region.get("startLine"))
    name = string(result.get("ruleId")) or string(obj(result.get("rule")).get("id")) or string(rule.get("id"))
    return Found(
        rule=clean(name),
        level=level_of(result, rule),
        message=clean(message_of(result, rule)) or clean(name) or "the tool gives no message",
        file=file,
        line=line,
        column=number(region.get("startColumn")) if line else 0,
        url=clean(string(result.get("hostedViewerUri")) or string(rule.get("helpUri"))),
    )


def find_rule(result: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    """The metadata of a result's rule: by index, else by id or by the parent of a hierarchical id (SARIF §3.52)."""
    tool, reference = obj(run.get("tool")), obj(result.get("rule"))
    extensions, component = items(tool.get("extensions")), obj(reference.get("toolComponent")).get("index")
    driver = pick(extensions, component) or obj(tool.get("driver"))
    rules = items(driver.get("rules"))
    index = result.get("ruleIndex", reference.get("index"))
    if found := pick(rules, index):
        return found
    name = string(result.get("ruleId")) or string(reference.get("id"))
    known = {string(rule.get("id")): rule for part in (driver, *extensions) for rule in items(part.get("rules"))}
    while name and name not in known:
        name = name.rpartition("/")[0]
    return known.get(name, {})


def level_of(result: dict[str, Any], rule: dict[str, Any]) -> str:
    """`error`, `warning` or `note`; `none` is shown as a note (SARIF §3.27.10, §3.50.2)."""
    level = result.get("level")
    if level is None and result.get("kind", "fail") != "fail":
        level = "none"
    if level is None:
        level = obj(rule.get("defaultConfiguration")).get("level")
    return "note" if level == "none" else level if level in LEVELS else "warning"


def message_of(result: dict[str, Any], rule: dict[str, Any]) -> str:
    """The result's text, else the rule's text for it with the arguments put in, else what the rule is about."""
    message = obj(result.get("message"))
    texts = obj(rule.get("messageStrings"))
    template = obj(texts.get(string(message.get("id"))))
    descriptions = (obj(rule.get("shortDescription")), obj(rule.get("fullDescription")))
    choices = [string(each.get(form)) for each in (message, template, *descriptions) for form in ("text", "markdown")]
    text = next(filter(None, [*choices, string(rule.get("name"))]), "")
    arguments = message.get("arguments")
    if isinstance(arguments, list):
        for position, argument in enumerate(arguments):
            text = text.replace(f"{{{position}}}", str(argument))
    return text


def find_place(result: dict[str, Any], run: dict[str, Any], tree: Tree) -> tuple[str, dict[str, Any]]:
    """The first file that a result names, and the region in it; both empty where it names none."""
    for location in items(result.get("locations")):
        physical = obj(location.get("physicalLocation"))
        place = obj(physical.get("artifactLocation"))
        if not place.get("uri"):
            artifact = pick(items(run.get("artifacts")), place.get("index"))
            place = obj(artifact.get("location"))
        if file := file_of(place, run, tree):
            return file, obj(physical.get("region"))
    return "", {}


def file_of(place: dict[str, Any], run: dict[str, Any], tree: Tree) -> str:
    """The file of an artifact location, relative to the repository's root; empty for what is no file."""
    path = path_of_uri(string(place.get("uri")))
    if not path:
        return ""
    if base := string(place.get("uriBaseId")):
        return tree.relative(path, base_folder(base, run, tree))
    # Tools that name no base mean the folder they ran in; a few mean the repository's root.
    start = tree.base if exists(tree.base / path) or not exists(tree.root / path) else tree.root
    return tree.relative(path, start)


def base_folder(name: str, run: dict[str, Any], tree: Tree) -> Path:
    """The folder that a `uriBaseId` stands for; one that the run doesn't tell is the repository's root."""
    declared, parts, seen = obj(run.get("originalUriBaseIds")), [], set()
    while name and name not in seen:
        seen.add(name)
        parts.insert(0, path_of_uri(string(obj(declared.get(name)).get("uri"))))
        name = string(obj(declared.get(name)).get("uriBaseId"))
    return tree.root.joinpath(*parts)


def path_of_uri(uri: str) -> str:
    """The path that a relative or `file:` URI means; empty for another scheme."""
    uri = clean(uri)
    if uri.lower().startswith("file:"):
        try:
            return url2pathname(urlsplit(uri).path)
        except ValueError:
            return ""
    # One letter before the colon is a drive of Windows.
    return "" if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", uri) else clean(unquote(uri))


def read_junit(file: Path, data: bytes, tree: Tree) -> Report:
    """The test cases of a JUnit XML file, from pytest or another runner."""
    root = parse_xml(file, data)
    if local_name(root) not in ("testsuites", "testsuite"):
        raise Failure(f"the report {file} is XML, but not JUnit: it starts with <{root.tag}>", "give a JUnit XML file")
    by_pytest = any(suite.get("name") == "pytest" for suite in root.iter() if local_name(suite) == "testsuite")
    findings, passed, failed, skipped, seconds = [], 0, 0, 0, 0.0
    for case in (element for element in root.iter() if local_name(element) == "testcase"):
        seconds += real(case.get("time"))
        failures = [child for child in case if local_name(child) in ("failure", "error")]
        if failures:
            failed += 1
            findings.append(read_case(case, failures[0], tree, first_line=0 if by_pytest else 1))
        elif any(local_name(child) == "skipped" for child in case):
            skipped += 1
        else:
            passed += 1
    return Report("Tests", findings, tests=Tests(passed, failed, skipped, seconds))


def parse_xml(file: Path, data: bytes) -> Element:
    """The tree of an XML text without a document type: entities, and with them their bombs, need one."""

    def refuse(*_: object) -> NoReturn:
        raise Failure(f"the report {file} has a DOCTYPE, which no JUnit report needs", "let the tool write it without")

    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise broken(file, f"it is no valid XML ({error})") from None
    return builder.close()


def read_case(case: Element, failure: Element, tree: Tree, first_line: int) -> Found:
    """A failed test case. `first_line` is the number that the runner gives to a file's first line."""
    detail = clean("".join(failure.itertext())).strip("\n")
    suite, name = clean(case.get("classname") or ""), clean(case.get("name") or "")
    own_file, rest = module_of(suite or name, tree)
    given = clean(case.get("file") or "")
    own_file = own_file or (tree.relative(given, tree.base) if given else "")
    file, line = place_of(detail, own_file, tree)
    if not file:
        file = own_file
        line = (
            number(case.get("line")) + 1 - first_line if given and case.get("line") else definition_of(name, file, tree)
        )
    names = [own_file or suite, *rest, name] if suite else [own_file or name]
    message = clean(failure.get("message") or "").strip()
    if message in ("", "collection failure"):
        message = ": ".join(filter(None, [message, essence(detail)])) or "the test failed without a message"
    return Found(
        rule="::".join(filter(None, names)),
        level="error",
        message=message,
        file=file,
        line=line,
        detail=detail,
    )


def module_of(dotted: str, tree: Tree) -> tuple[str, list[str]]:
    """The test file that a JUnit class name of Python stands for, and the classes inside it.

    `tests.test_x.TestY` is `("tests/test_x.py", ["TestY"])`; pytest counts from its rootdir, the working directory or a
    folder above it. Without such a file: `("", [])`.
    """
    parts = dotted.split(".")
    for folder in (tree.base, *tree.base.parents):
        for length in range(len(parts), 0, -1):
            path = folder.joinpath(*parts[:length]).with_suffix(".py") if all(parts[:length]) else folder
            if path != folder and exists(path):
                return tree.relative(path, folder), parts[length:]
        if folder == tree.root:
            break
    return "", []


# `tests/test_x.py:12: AssertionError`, or `…: in test_x`, or nothing behind the colon: an entry of pytest's traceback.
PYTEST_ENTRY = re.compile(r"^(?P<file>\S.*?):(?P<line>\d+):(?: |$)", re.MULTILINE)
# `File "/a/test_x.py", line 12`: Python's own traceback, and a syntax error of a test file.
PYTHON_ENTRY = re.compile(r'^(?:E )?[ \t]*File "(?P<file>[^"\n]+)", line (?P<line>\d+)', re.MULTILINE)
# `(src/x.test.js:12:5)`: what the runners of other languages write.
OTHER_ENTRY = re.compile(r"(?<![\w./\\@-])(?P<file>[\w./\\@-]+\.\w+):(?P<line>\d+)\b")


def place_of(traceback: str, own_file: str, tree: Tree) -> tuple[str, int]:
    """The line of a failed test: the first entry in the test's own file, else the last in a file of the repository.

    A test calls what fails: its own line tells which test it was, and helpers are shared by many.
    """
    for pattern in (PYTEST_ENTRY, PYTHON_ENTRY, OTHER_ENTRY):
        entries = [(entry["file"], int(entry["line"][:9])) for entry in pattern.finditer(traceback)]
        places = [(tree.relative(file, tree.base), line) for file, line in entries if exists(tree.base / file)]
        own = [place for place in places if place[0] == own_file]
        ours = [place for place in places if is_ours(place[0])]
        if own or ours:
            return own[0] if own else ours[-1]
    return "", 0


def definition_of(name: str, file: str, tree: Tree) -> int:
    """The line on which a test file of Python defines a test; 0 where it can't be told.

    Under `--tb=line` and `--tb=no` pytest's report holds no place at all.
    """
    function = re.compile(rf"\s*(?:async )?def {re.escape(name.partition('[')[0])}\(")
    if not file.endswith(".py") or not exists(tree.root / file):
        return 0
    lines = (tree.root / file).read_text(encoding="utf-8", errors="replace").splitlines()
    return next((count for count, line in enumerate(lines, start=1) if function.match(line)), 0)


def is_ours(file: str) -> bool:
    """Whether a file is the repository's own, not one of an environment in it."""
    return not Path(file).is_absolute() and "site-packages" not in file and "/lib/python" not in f"/{file}"


def essence(traceback: str) -> str:
    """What went wrong, in the lines that pytest marks with `E`, else in the last line."""
    marked = [line[1:].strip() for line in traceback.splitlines() if re.match(r"E\s", line)]
    return "\n".join(marked[:5]) or (traceback.strip().splitlines() or [""])[-1].strip()


# Reports come from any tool: what has the wrong type counts as not given.


def obj(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def pick(rows: list[dict[str, Any]], index: Any) -> dict[str, Any]:
    return rows[index] if isinstance(index, int) and 0 <= index < len(rows) else {}


def string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def number(value: Any) -> int:
    """A count from 1, or 0 for anything else."""
    text = str(value)
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def real(text: str | None) -> float:
    """A duration in seconds; some runners write `1,234.5`."""
    try:
        return max(0.0, float((text or "0").replace(",", "")))
    except ValueError:
        return 0.0


def local_name(element: Element) -> str:
    return element.tag.rpartition(":")[2]


def exists(path: Path) -> bool:
    """Whether it is a file; a name that no system can hold isn't one."""
    return os.path.isfile(path)


# ---------------------------------------------------------------------------------------------------------------------
# Making text of others harmless


def clean(text: str) -> str:
    """The text without colours, control characters and halves of characters; line ends are `\\n`."""
    text = text.encode("utf-8", "replace").decode()
    # pytest writes an escape character, which XML can't hold, as `#x1B`.
    text = re.sub(r"(?:\x1b|#x1B)\[[0-9;?]*[A-Za-z]", "", text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return re.sub(r"[^\n\t\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\U0010ffff]", "", text)


def cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 2].rstrip() + " …"


def for_log(text: str) -> str:
    """Text for a line of the log; the caller writes something before it, so that no line starts with `::`."""
    return text.replace("##[", "## [").replace("\n", "\n  | ")


def for_markdown(text: str) -> str:
    """Text for a cell of a Markdown table, in which nothing is markup."""
    text = html.escape(text, quote=False)
    text = re.sub(r"([\\`*\[\]|~$#@!])|(?<!\w)_|_(?!\w)", lambda found: "\\" + found[0], text)
    # Without the entity GitHub would make links and emoji of it.
    text = text.replace("://", "&#58;//").replace("www.", "www&#46;")
    text = re.sub(r":(?=[\w+-]+:)", "&#58;", text)
    return text.strip().replace("\n", "<br>")


def as_code(text: str) -> str:
    """Text as a Markdown code span, also inside a table."""
    if not text:
        return ""
    text = " ".join(text.split()).replace("|", "\\|")
    fence = "`" * (longest_run(text) + 1)
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def longest_run(text: str) -> int:
    """The length of the longest row of backticks."""
    return max((len(row) for row in re.findall("`+", text)), default=0)


# ---------------------------------------------------------------------------------------------------------------------
# Showing


def where(finding: Finding) -> str:
    """`tests/test_x.py:12`, as far as it is known."""
    return f"{finding.file}:{finding.line}" if finding.file and finding.line else finding.file


def verdict(report: Report) -> str:
    """A report in a few words: `2 errors, 1 warning` or `2 failed, 30 passed, 1 skipped in 3.2 s`."""
    if report.tests:
        tests = report.tests
        counts = [(tests.failed, "failed"), (tests.passed, "passed"), (tests.skipped, "skipped")]
        told = [f"{count} {word}" for count, word in counts if count] or ["no test ran"]
        return f"{', '.join(told)} in {tests.seconds:.1f} s"
    counts = [(sum(finding.level == level for finding in report.findings), level) for level in LEVELS]
    told = [f"{count} {level}{'' if count == 1 else 's'}" for count, level in counts if count] or ["no findings"]
    suppressed = f" ({report.suppressed} suppressed)" if report.suppressed else ""
    return ", ".join(told) + suppressed


def by_level(findings: Sequence[Found]) -> list[Found]:
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))


def text_line(finding: Found) -> str:
    rule = f" [{finding.rule}]" if finding.rule else ""
    place = f"{where(finding)}: " if finding.file else ""
    return f"{finding.level}: {for_log(place + cut(finding.message, ANNOTATION_CHARACTERS) + rule)}"


def show_as_text(reports: Sequence[Report], _tree: Tree, _options: Namespace) -> None:
    """A line for each finding, then one for each report."""
    for report in reports:
        for finding in by_level(report.findings):
            print(text_line(finding))
    for report in reports:
        print(f"= {for_log(report.name)}: {verdict(report)}")


def show_on_github(reports: Sequence[Report], _tree: Tree, _options: Namespace) -> None:
    """Annotations as far as GitHub keeps them, the rest as lines of the log, and everything in the step's summary."""
    findings = [finding for report in reports for finding in report.findings]
    for level in LEVELS:
        of_level = [finding for finding in findings if finding.level == level]
        for finding in of_level[:ANNOTATIONS]:
            print(annotation(finding))
        for finding in of_level[ANNOTATIONS:]:
            print(text_line(finding))
    for report in reports:
        print(f"= {for_log(report.name)}: {verdict(report)}")
    text = summary(reports, SUMMARY_BYTES - summary_size())
    counts = [sum(finding.level == level for finding in findings) for level in LEVELS]
    if unshown := sum(max(0, count - ANNOTATIONS) for count in counts):
        text += f"\nGitHub keeps few annotations: {unshown} more findings are only here and in the log.\n"
    add_summary(text)


def annotation(finding: Found) -> str:
    """The workflow command for a finding. A file outside of the repository has no lines that GitHub could show."""
    inside = bool(finding.file) and not Path(finding.file).is_absolute()
    message = finding.message if inside or not finding.file else f"{where(finding)}: {finding.message}"
    if finding.url:
        message = f"{cut(message, ANNOTATION_CHARACTERS - len(finding.url) - 1)}\n{finding.url}"
    return github_command(
        "notice" if finding.level == "note" else finding.level,
        cut(message, ANNOTATION_CHARACTERS),
        file=finding.file if inside else None,
        line=finding.line or None if inside else None,
        col=finding.column or None if inside else None,
        title=cut(" ".join(finding.rule.split()), TITLE_CHARACTERS),
    )


def summary_size() -> int:
    """How many bytes the step's summary already has."""
    path = os.environ.get("GITHUB_STEP_SUMMARY", "")
    return Path(path).stat().st_size if path and exists(Path(path)) else 0


def summary(reports: Sequence[Report], room: int) -> str:
    """The Markdown of all reports, in at most `room` bytes: what has no place there is told in a note at the end."""
    kept: list[str] = []
    cut_findings, is_cut = 0, False
    room -= 500  # for notes
    for count, piece in (piece for report in reports for piece in pieces(report)):
        # Behind the first piece without a place nothing follows, or a table would go on without its head.
        is_cut = is_cut or len(piece.encode()) > room
        if is_cut:
            cut_findings += count
        else:
            room -= len(piece.encode())
            kept.append(piece)
    if is_cut:
        lost = f"{cut_findings} findings" if cut_findings else "some tracebacks"
        kept.append(f"\nThis summary was cut to less than 1 MiB: {lost} are missing. The log has all findings.\n")
    return "".join(kept)


def pieces(report: Report) -> Iterator[tuple[int, str]]:
    """A report's Markdown in pieces that can be left out from the end, each with the number of findings it tells."""
    head = f"### {for_markdown(cut(report.name, TITLE_CHARACTERS))}: {verdict(report)}\n\n"
    if report.tests:
        tests = report.tests
        head += "| Passed | Failed | Skipped | Time |\n| ---: | ---: | ---: | ---: |\n"
        head += f"| {tests.passed} | {tests.failed} | {tests.skipped} | {tests.seconds:.1f} s |\n\n"
    yield 0, head
    if not report.findings:
        return
    columns = "| Test | Where | Message |\n| --- | --- | --- |\n"
    yield 0, columns if report.tests else columns.replace("| Test", "| Level | Rule").replace("| ---", "| --- | ---", 1)
    for finding in by_level(report.findings):
        cells = [as_code(cut(finding.rule, TITLE_CHARACTERS)), as_code(where(finding))]
        cells.append(for_markdown(cut(finding.message, CELL_CHARACTERS)))
        yield 1, f"| {' | '.join(cells if report.tests else [finding.level, *cells])} |\n"
    yield 0, "\n"
    for finding in report.findings:
        if finding.detail:
            yield 0, details(finding)


def details(finding: Found) -> str:
    """The traceback of a failed test, folded."""
    text = finding.detail
    if len(text) > DETAIL_CHARACTERS:
        # The end of a traceback tells what went wrong.
        text = f"…\n{text[-DETAIL_CHARACTERS:]}"
    fence = "`" * max(3, longest_run(text) + 1)
    name = html.escape(" ".join(cut(finding.rule, TITLE_CHARACTERS).split()))
    return f"<details><summary><code>{name}</code></summary>\n\n{fence}text\n{text}\n{fence}\n\n</details>\n"


def show_on_gitlab(reports: Sequence[Report], tree: Tree, options: Namespace) -> None:
    """Text for the log, and the findings of SARIF as a Code Quality report."""
    show_as_text(reports, tree, options)
    analysed = [report for report in reports if not report.tests]
    if not analysed:
        return
    # With no findings too: GitLab compares a merge request's report with the one of the target branch.
    entries = {each["fingerprint"]: each for each in (*written_before(options.output), *code_quality(analysed, tree))}
    write_atomic(options.output, json.dumps(list(entries.values()), indent=2) + "\n")


def code_quality(reports: Sequence[Report], tree: Tree) -> list[dict[str, Any]]:
    """The findings as entries of GitLab's Code Quality report.

    The fingerprint tells GitLab whether the target branch has the same finding: it holds no line, so that lines added
    above change nothing; the same words again in the same file are counted.
    Source: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
    """
    entries = []
    seen: collections.Counter[str] = collections.Counter()
    pairs = ((report, finding) for report in reports for finding in report.findings)
    for report, finding in sorted(pairs, key=lambda pair: (pair[1].file, pair[1].line)):
        inside = bool(finding.file) and not Path(finding.file).is_absolute()
        message = " ".join((finding.message if inside else f"{where(finding)} {finding.message}").split())
        check, path = finding.rule or report.name, finding.file if inside else place_without_file(tree)
        same = "\0".join([check, path, re.sub(r"(\bline |:)\d+", r"\1", message)])
        seen[same] += 1
        entries.append(
            {
                "description": cut(message, ANNOTATION_CHARACTERS),
                "check_name": check,
                "fingerprint": hashlib.sha256(f"{same}\0{seen[same]}".encode()).hexdigest(),
                "severity": GITLAB_SEVERITIES[finding.level],
                "location": {"path": path, "lines": {"begin": max(1, finding.line) if inside else 1}},
                # Not of the format: by it a job knows its own entries from those of an earlier one on the same machine.
                "job": os.environ.get("CI_JOB_ID", ""),
            }
        )
    return entries


def place_without_file(tree: Tree) -> str:
    """Where GitLab shows a finding that names no file of the repository: at the project's pyproject.toml, if any."""
    project = tree.base / "pyproject.toml"
    return tree.relative(project, tree.base) if exists(project) else "."


def written_before(output: Path) -> list[dict[str, Any]]:
    """What an earlier call in the same job has written; nothing of what another job left there."""
    try:
        entries = items(json.loads(output.read_bytes()))
    except FileNotFoundError:
        return []
    except (ValueError, RecursionError):
        warn(f"{output} is no Code Quality report and is replaced")
        return []
    ours = [entry for entry in entries if entry.get("job") == os.environ.get("CI_JOB_ID", "")]
    return [entry for entry in ours if isinstance(entry.get("fingerprint"), str)]


def show_on_buildkite(reports: Sequence[Report], tree: Tree, options: Namespace) -> None:
    """Text for the log, and everything in an annotation, which a later call for the same replaces."""
    show_as_text(reports, tree, options)
    agent = shutil.which("buildkite-agent")
    if not agent:
        say("without `buildkite-agent` on PATH there is no annotation")
        return
    levels = {finding.level for report in reports for finding in report.findings}
    styles = {"error": "error", "warning": "warning", "note": "info"}
    style = next((styles[level] for level in LEVELS if level in levels), "success")
    subject = "\0".join([*(report.name for report in reports), tree.relative(tree.base, tree.base)])
    context = f"uv-actions-{os.environ.get('BUILDKITE_JOB_ID', '')}-{hashlib.sha256(subject.encode()).hexdigest()[:12]}"
    try:
        done = subprocess.run(
            [agent, "annotate", "--style", style, "--context", context],
            input=summary(reports, BUILDKITE_BYTES),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=AGENT_SECONDS,
            check=False,
        )
        why = f"exit code {done.returncode}: {for_log(clean(done.stdout).strip())}" if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    if why:
        warn(f"`buildkite-agent annotate` made no annotation: {cut(why, CELL_CHARACTERS)}")


# A new platform is a row here.
PLATFORMS: dict[str, Callable[[Sequence[Report], Tree, Namespace], None]] = {
    "github": show_on_github,
    "gitlab": show_on_gitlab,
    "buildkite": show_on_buildkite,
    "text": show_as_text,
}


def detect() -> str:
    """The form for the platform that this process runs on."""
    return platform() if platform() in PLATFORMS else "text"


if __name__ == "__main__":
    run_main(main)
