"""What can be seen of the Buildkite plugins without an agent: our guard, Buildkite's schema, shellcheck and bash."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import buildkite_guard
import pytest
import yaml
from linters import check, linter

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "buildkite-plugins"
PLUGINS = sorted(path.parent for path in FOLDER.glob("*/plugin.yml"))
SHELL = sorted([*FOLDER.glob("*/hooks/*"), *FOLDER.glob("lib/*")])
PAGES = [*FOLDER.glob("README.md"), *FOLDER.glob("*/README.md"), ROOT / "README.md"]

# A right plugin, and what the guard says of it once a piece is replaced.
RIGHT = """\
name: uv-test
description: Runs tests.
author: acme
requirements: [bash]
configuration:
  properties:
    args:
      type: array
      items: {type: string}
      default: []
      description: "More. Type: list. Default: empty."
    cache:
      enum: [auto, true]
      default: auto
      description: "Who. Type: choice. Default: `auto`"
    name:
      type: string
      description: "Whose. Type: text. Required."
  required: [name]
  additionalProperties: false
"""
HOOK = """\
#!/bin/bash
# What it does.
set -euo pipefail
. lib.bash # never source or eval this
buildkite-agent annotate <<<"$text"
"""


@pytest.fixture
def right(tmp_path: Path) -> Path:
    folder = tmp_path / "uv-test"
    (folder / "hooks").mkdir(parents=True)
    (folder / "plugin.yml").write_text(RIGHT)
    (folder / "hooks/command").write_text(HOOK)
    (folder / "hooks/command").chmod(0o755)
    return folder


def test_guard_finds_nothing_in_a_right_plugin(right: Path) -> None:
    assert buildkite_guard.find(right) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("name: uv-test", "name: uv-tests", "the folder's is `uv-test`"),
        ("description: Runs tests.\n", "", "`description` must be"),
        ("author: acme\n", "", "`author` must be"),
        ("requirements: [bash]\n", "", "`requirements` must be"),
        ("requirements: [bash]", "requirements: bash", "`requirements` must be a list"),
        ("requirements: [bash]", "requirements: [1]", "`requirements` are names"),
        ("author:", "license: MIT\nauthor:", "has `license`, which Buildkite doesn't know"),
        ("  additionalProperties: false\n", "", "lets unknown options pass"),
        ("  additionalProperties: false\n", "  additionalProperties: true\n", "lets unknown options pass"),
        ("  required: [name]", "  minProperties: 1\n  required: [name]", "has minProperties"),
        ("required: [name]", "required: [name, nmae]", "option `nmae` is required, but unknown"),
        ("      type: array\n", "      type: list\n", "is no JSON schema"),
        ("    args:\n", "    my_args:\n", "only a-z, 0-9 and - are safe"),
        ("    args:\n", "    password:\n", "would be a secret"),
        ("    args:\n", "    api-token:\n", "would be a secret"),
        ("      enum: [auto, true]\n", "", "option `cache` has no type"),
        ("      items: {type: string}\n", "", "option `args` is a list"),
        ("Type: list. ", "", "option `args`: the description doesn't state"),
        (" Default: empty.", "", "option `args`: the description doesn't state"),
        ("      default: []\n", "", "option `args` must either have a default or be required"),
        ("required: [name]", "required: [name, cache]", "option `cache` must either have a default or be required"),
        ("default: auto\n", "default: always\n", "option `cache` has a default that it doesn't allow"),
        ("default: []\n", 'default: ""\n', "option `args` has a default that it doesn't allow"),
    ],
)
def test_guard_finds_in_the_metadata(old: str, new: str, finding: str, right: Path) -> None:
    assert old in RIGHT
    (right / "plugin.yml").write_text(RIGHT.replace(old, new, 1))
    findings = buildkite_guard.find(right)
    assert any(finding in each for each in findings), findings


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("#!/bin/bash", "#!/bin/sh", "hooks/command doesn't begin with `#!/bin/bash`"),
        ("set -euo pipefail\n", "set -e\n", "hooks/command doesn't begin with `set -euo pipefail`"),
        ("set -euo pipefail\n", "x=1\nset -euo pipefail\n", "hooks/command doesn't begin with `set -euo pipefail`"),
        (". lib.bash", 'eval "$x"', "hooks/command:4: no `eval`"),
        (". lib.bash", "source lib.bash", "hooks/command:4: no `eval`"),
        (". lib.bash", "x=$(jq .x file)", "hooks/command:4: no `eval`"),
        (". lib.bash", "curl https://x | sh", "hooks/command:4: runs what it downloads"),
    ],
)
def test_guard_finds_in_a_hook(old: str, new: str, finding: str, right: Path) -> None:
    assert old in HOOK
    (right / "hooks/command").write_text(HOOK.replace(old, new, 1))
    findings = buildkite_guard.find(right)
    assert any(finding in each for each in findings), findings


def test_guard_finds_wrong_hooks(right: Path) -> None:
    (right / "hooks/command").chmod(0o644)
    assert buildkite_guard.find(right) == ["hooks/command isn't executable"]
    (right / "hooks/command").rename(right / "hooks/comand")
    assert any("hooks/comand: agents don't run it" in each for each in buildkite_guard.find(right))
    (right / "hooks/comand").unlink()
    assert "there is no hook" in buildkite_guard.find(right)
    setup = right.rename(right.with_name("uv-setup"))
    (setup / "plugin.yml").write_text(RIGHT.replace("uv-test", "uv-setup"))
    (setup / "hooks/command").write_text(HOOK)
    assert any("work beside a command" in each for each in buildkite_guard.find(setup))


URL = "https://github.com/org/uv-actions.git/buildkite-plugins/uv-test"


@pytest.mark.parametrize(
    ("plugins", "findings"),
    [
        (f"- {URL}#v1.2.3: {{name: x}}", []),
        ("- ./.buildkite/plugins/uv-test: {name: x}\n- docker#v5.13.0: {image: x}", []),
        (f"- {URL}#v1.2.3: {{name: x, cache: '{{{{matrix.cache}}}}'}}", []),
        (f"- {URL}#v1: {{name: x}}", [f"`{URL}#v1`: pin a whole version, #v1.2.3"]),
        (f"- {URL}: {{name: x}}", [f"`{URL}`: pin a whole version, or copy the plugin"]),
        (f"- {URL}#main: {{name: x}}", [f"`{URL}#main`: pin a whole version, #v1.2.3"]),
        (f"- {URL}s#v1.2.3: ~", [f"`{URL}s#v1.2.3`: there is no such plugin"]),
        (f"- {URL}#v1.2.3: ~", ["`uv-test`: 'name' is a required property"]),
        (f"- {URL}#v1.2.3", ["`uv-test`: 'name' is a required property"]),
        (f"- {URL}#v1.2.3: {{name: 3.10}}", ["`uv-test`: 3.1 is not of type 'string'"]),
        (f"- {URL}#v1.2.3: {{name: x, arg: []}}", ["`uv-test`: Additional properties are not allowed"]),
    ],
)
def test_guard_finds_in_an_example(plugins: str, findings: list[str]) -> None:
    indented = plugins.replace("\n", "\n      ")
    page = f"# Page\n```yaml\nsteps:\n  - command: x\n    plugins:\n      {indented}\n```\n```sh\nx\n```\n"
    found = buildkite_guard.examples(page, {"uv-test": yaml.safe_load(RIGHT)["configuration"]})
    assert len(found) == len(findings)
    assert all(each.startswith(start) for each, start in zip(found, findings, strict=True)), found


def schemas() -> dict[str, dict[str, Any]]:
    return {folder.name: yaml.safe_load((folder / "plugin.yml").read_text())["configuration"] for folder in PLUGINS}


def test_plugins() -> None:
    findings = {folder.name: buildkite_guard.find(folder) for folder in PLUGINS}
    assert findings == {name: [] for name in findings}


def test_each_folder_is_a_plugin_or_shared() -> None:
    folders = {path for path in FOLDER.glob("*") if path.is_dir()}
    assert folders - {FOLDER / "lib"} == set(PLUGINS)


def test_shared_code() -> None:
    for path in FOLDER.glob("lib/*"):
        assert list(buildkite_guard.shell(path.name, path.read_text(encoding="utf-8"))) == []


def test_examples() -> None:
    findings = {str(page.relative_to(ROOT)): buildkite_guard.examples(page.read_text(), schemas()) for page in PAGES}
    assert findings == {name: [] for name in findings}


def pipelines() -> dict[str, str]:
    """Our own pipeline and those in the examples, by where they are."""
    own = ROOT / ".buildkite" / "pipeline.yml"
    found = {"own": own.read_text()} if own.exists() else {}
    for page in PAGES:
        blocks = re.findall(r"^```ya?ml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
        pieces = [block for block in blocks if block.startswith("steps:") or "\nsteps:" in block]
        pieces = [block for block in pieces if list(buildkite_guard.plugins_in(yaml.safe_load(block)))]
        found |= {f"{page.relative_to(ROOT)}-{number}": block for number, block in enumerate(pieces)}
    return found


def test_pipelines_with_the_schema_of_buildkite(tmp_path: Path) -> None:
    schema = ("check-jsonschema", "--builtin-schema", "vendor.buildkite")
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("steps:\n  - command: x\n    parallelsm: 2\n")
    done = subprocess.run([linter(schema[0]), *schema[1:], wrong], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "parallelsm" in done.stdout
    files = []
    for name, text in pipelines().items():
        files.append(tmp_path / f"{name.replace('/', '-')}.yml")
        files[-1].write_text(text)
    assert len(files) >= len(PLUGINS)
    check(*schema, *files)


def test_shellcheck_of_the_hooks() -> None:
    if SHELL:
        own = (ROOT / ".buildkite" / "hooks").glob("*")
        check("shellcheck", "--shell=bash", "--severity=style", "--external-sources", *SHELL, *own)


def test_bash_parses_the_hooks() -> None:
    for path in SHELL:
        check("bash", "-n", path)
