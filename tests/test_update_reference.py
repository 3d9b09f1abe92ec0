"""What the references say of the parts of each platform."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import pytest
import update_reference

PARTS = {
    "gitlab-templates/test.yml": """
        # test: runs the tests.
        #
        # Talks to: the index
        #   and GitLab.
        spec:
          inputs:
            job:
              description: "The job's name. Type: text."
              default: a | b
        ---
        "$[[ inputs.job ]]":
          script: [!reference [.x, script], "true"]
        """,
    "gitlab-templates/build.yml": "spec: {inputs: {image: {description: The image.}}}\n---\nx: {script: [x]}\n",
    "gitlab-templates/README.md": "# GitLab\n<!-- reference -->\nold\n<!-- /reference -->\nend\n",
    "jenkins-shared-lib/vars/uvTest.groovy": "def call(Map options) {}\n",
    "jenkins-shared-lib/vars/uvTest.txt": """
        <p>Runs the tests:
        <code>uvTest { a -&gt; b }</code>.</p>
        <ul>
        <li><code>args</code>: More <code>a | b</code>.
        Type: list. Default: <code>[]</code></li>
        </ul>
        """,
    "jenkins-shared-lib/README.md": "<!-- reference --><!-- /reference -->",
    "buildkite-plugins/uv-test/plugin.yml": """
        name: uv-test
        configuration:
          properties:
            cache:
              enum: [auto, true]
              description: Who uses it.
            args:
              type: array
              items: {type: string}
              minItems: 1
              description: More arguments.
          required: [args]
          additionalProperties: false
        """,
    "buildkite-plugins/uv-test/README.md": "<!-- reference --><!-- /reference -->",
    "buildkite-plugins/uv-new/plugin.yml": "configuration: {properties: {x: {type: string, description: An x.}}}\n",
}


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path, text in PARTS.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    monkeypatch.setattr(update_reference, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["update_reference"])
    return tmp_path


def test_references(parts: Path) -> None:
    assert update_reference.main() == 0
    assert (parts / "gitlab-templates/README.md").read_text() == textwrap.dedent("""\
        # GitLab
        <!-- reference -->

        ### build

        #### Inputs

        | input | |
        | --- | --- |
        | `image` | The image. |

        ### test

        - Talks to: the index and GitLab.

        #### Inputs

        | input | |
        | --- | --- |
        | `job` | The job's name. Type: text. |

        <!-- /reference -->
        end
        """)
    jenkins = (parts / "jenkins-shared-lib/README.md").read_text()
    assert "### uvTest\n\nRuns the tests:\n`uvTest { a -> b }`.\n\n#### Parameters\n" in jenkins
    assert "\n| `args` | More `a \\| b`. Type: list. Default: `[]` |\n" in jenkins
    plugin = (parts / "buildkite-plugins/uv-test/README.md").read_text()
    assert "| `cache` | Who uses it. |\n| `args` | More arguments. |\n" in plugin


def test_options_of_a_plugin_as_json(parts: Path) -> None:
    assert update_reference.main() == 0
    assert json.loads((parts / "buildkite-plugins/uv-test/options.json").read_text()) == {
        "cache": {"enum": ["auto", True]},
        "args": {"type": "array", "required": True},
    }
    # A plugin has its options even before it has a page.
    assert json.loads((parts / "buildkite-plugins/uv-new/options.json").read_text()) == {"x": {"type": "string"}}
    assert not (parts / "buildkite-plugins/uv-new/README.md").exists()


@pytest.mark.parametrize(
    ("part", "old", "new", "stale"),
    [
        ("gitlab-templates/test.yml", "The job's name", "Its name", ["gitlab-templates/README.md"]),
        ("jenkins-shared-lib/vars/uvTest.txt", "More", "Other", ["jenkins-shared-lib/README.md"]),
        (
            "buildkite-plugins/uv-test/plugin.yml",
            "cache:",
            "cash:",
            ["buildkite-plugins/uv-test/README.md", "buildkite-plugins/uv-test/options.json"],
        ),
        ("buildkite-plugins/uv-test/plugin.yml", "auto,", "any,", ["buildkite-plugins/uv-test/options.json"]),
    ],
)
def test_check_tells_what_is_stale(
    part: str,
    old: str,
    new: str,
    stale: list[str],
    parts: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    update_reference.main()
    monkeypatch.setattr(sys, "argv", ["update_reference", "--check"])
    capsys.readouterr()
    assert update_reference.main() == 0
    assert capsys.readouterr().err == ""
    (parts / part).write_text((parts / part).read_text().replace(old, new))
    before = {path: path.read_bytes() for path in parts.rglob("*") if path.is_file()}
    assert update_reference.main() == 1
    said = capsys.readouterr().err.splitlines()
    assert said[:-1] == [f"stale: {path}" for path in stale]
    assert {path: path.read_bytes() for path in parts.rglob("*") if path.is_file()} == before
