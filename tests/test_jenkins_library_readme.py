"""The pipelines on the library's page: the scripted ones run, and the declarative one names steps that there are."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from engines.jenkins import Jenkins, Secret
from services.index import PASSWORD, USERNAME, Index

LIBRARY = Path(__file__).resolve().parents[1] / "jenkins-shared-lib"
EXAMPLES = re.findall(
    r"^```groovy\n(.*?)^```$", (LIBRARY / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)
SCRIPTED = [each for each in EXAMPLES if "pipeline {" not in each]


def named(example: str) -> str:
    return "-".join(dict.fromkeys(re.findall(r"\b(uv[A-Z]\w+|inside)\b", example)))


def test_there_are_both_kinds() -> None:
    assert len(SCRIPTED) >= 3
    assert len(EXAMPLES) == len(SCRIPTED) + 1


@pytest.mark.parametrize("example", EXAMPLES, ids=named)
def test_it_names_steps_and_options_that_there_are(example: str) -> None:
    for step, options in re.findall(r"\b(uv[A-Z]\w+)(?:\((.*?)\))?", example, re.DOTALL):
        text = (LIBRARY / "vars" / f"{step}.txt").read_text(encoding="utf-8")
        for option in re.findall(r"(?:^|[\s(,])(\w+): ", re.sub(r"\[.*\]|'[^']*'", "_", options)):
            assert f"<li><code>{option}</code>" in text, f"{step} has no {option}"


@pytest.mark.parametrize("example", SCRIPTED, ids=named)
def test_it_runs(example: str, jenkins: Jenkins, project: Callable[[str], Path], index: Index, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    for told, meant in {
        "'3.13'": f"'{sys.version_info.major}.{sys.version_info.minor}'",
        "/srv/uv-cache": str(tmp_path / "store"),
        "https://pypi.acme.example/": index.upload_url,
    }.items():
        example = example.replace(told, meant)
    run = jenkins.run(
        project("app"),
        example,
        situation="tag" if "TAG_NAME" in example else "default-branch",
        credentials={"pypi": Secret.user(USERNAME, PASSWORD)},
        images={"python:3.13-slim": [jenkins.bin, Path("/usr/bin"), Path("/bin")]},
    )
    assert run.ok, run.log
    assert bool(index.files()) == (index.upload_url in example)
    assert run.leaks == []
