"""The tool that checks the options of Buildkite plugins: what it refuses, and how it says so."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOL = ROOT / "scripts" / "buildkite_options.py"

KNOWN = {
    "python-version": {"type": "string", "default": ""},
    "password-env": {"type": "string", "default": ""},
    "groups": {"type": "array", "default": []},
    "dist": {"type": "array", "default": ["dist"]},
    "sync": {"type": "boolean", "default": True},
    "cache": {"enum": ["auto", True, "restore", False], "default": "auto"},
}

Check = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Runs the tool on a configuration; the options that it wrote are read back by sh, into `options`."""

    def run(configuration: Any, *more: str, **variables: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "options.json").write_text(json.dumps(KNOWN), encoding="utf-8")
        given = configuration if isinstance(configuration, str) else json.dumps(configuration)
        return subprocess.run(
            [sys.executable, TOOL, "--plugin=uv-x", f"--options={tmp_path / 'options.json'}",
             f"--output={tmp_path / 'output'}", *more],
            env={"PATH": str(Path(sys.executable).parent) + ":/usr/bin:/bin", "BUILDKITE_PLUGIN_CONFIGURATION": given,
                 **variables, "UV_ACTIONS_BIN": str(uv_folder(tmp_path))},
            cwd=tmp_path, capture_output=True, encoding="utf-8", check=False,
        )  # fmt: skip

    return run


def uv_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "uv's folder"
    folder.mkdir(exist_ok=True)
    (folder / "uv").write_text("")
    (folder / "uv").chmod(0o755)
    return folder


def read_back(folder: Path, name: str) -> str:
    """The value of a variable as bash reads it."""
    script = f'set -eu; . ./output; printf "%s." "${name}"'
    return subprocess.check_output(["bash", "-c", script], cwd=folder, encoding="utf-8").removesuffix(".")


def test_options_and_defaults_come_out_as_sh(check: Check, tmp_path: Path) -> None:
    done = check({"python-version": "3.13", "groups": ["docs", "lint"], "sync": False, "cache": True})
    assert done.returncode == 0, done.stderr
    read = {name: read_back(tmp_path, f"option_{name.replace('-', '_')}") for name in KNOWN}
    assert read == {
        "python-version": "3.13",
        "password-env": "",
        "groups": "docs\nlint",
        "dist": "dist",
        "sync": "false",
        "cache": "true",
    }
    assert read_back(tmp_path, "uv_folder") == str(tmp_path / "uv's folder")
    assert Path(read_back(tmp_path, "tool_python")).samefile(sys.executable)
    assert (tmp_path / "output").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("nothing", ["", "null", "{}", '{"groups": null}'])
def test_no_options_are_the_defaults(check: Check, tmp_path: Path, nothing: str) -> None:
    assert check(nothing).returncode == 0
    assert read_back(tmp_path, "option_cache") == "auto"


@pytest.mark.parametrize(
    "text", ["$(touch owned)", "`touch owned`", "'; touch owned; '", '"; touch owned', "a\nb", "\\"]
)
def test_a_text_comes_out_as_it_is(check: Check, tmp_path: Path, text: str) -> None:
    assert check({"python-version": text}).returncode == 0
    assert read_back(tmp_path, "option_python_version") == text
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("configuration", "told"),
    [
        ({"python-verison": "3.12"}, ("uv-x has no option `python-verison`", "nearest is `python-version`")),
        ({"password": "s3cret"}, ("no option `password`", "`password-env`")),
        ({"zzz": 1}, ("no option `zzz`", "the options are: python-version, password-env, groups")),
        ({"python-version": 3.1}, ("`python-version` is the number 3.1", 'python-version: "3.10"')),
        ({"python-version": 3}, ("the number 3", '`python-version: "3"`')),
        ({"python-version": True}, ("`python-version` is `true`", "must be text")),
        ({"python-version": ["3.12"]}, ("`python-version` is a list", "must be text")),
        ({"groups": "docs"}, ("`groups` is the text 'docs'", "must be a list", "- docs")),
        ({"groups": [3.1]}, ("`groups` holds the number 3.1", '"3.1"')),
        ({"groups": ["a\nb"]}, ("`groups` holds 'a\\nb'", "a line of its own")),
        ({"groups": [" a"]}, ("`groups` holds ' a'", "blanks")),
        ({"sync": "false"}, ("`sync` is the text 'false'", "`sync: false`, without quotes")),
        ({"cache": "sometimes"}, ("`cache` is the text 'sometimes'", "auto, true, restore, false")),
        ({"cache": 1}, ("`cache` is the number 1", "auto, true, restore, false")),
    ],
)
def test_what_is_wrong_is_named_with_the_mend(
    check: Check, tmp_path: Path, configuration: Any, told: tuple[str]
) -> None:
    done = check(configuration)
    assert done.returncode == 2
    assert "To mend it:" in done.stderr
    for text in told:
        assert text in done.stderr
    assert "s3cret" not in done.stderr
    assert not (tmp_path / "output").exists()


def plugins(*names: str) -> str:
    places = [f"https://github.com/org/uv-actions.git/buildkite-plugins/{name}#v1.2.3" for name in names]
    return json.dumps([{place: {"x": "uv-build"}} for place in places])


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"BUILDKITE_COMMAND": "make"}, ("the step has a `command`", "uv-x")),
        ({"BUILDKITE_PLUGINS": plugins("uv-test", "uv-build")}, ("uv-test, uv-build", "a step of its own")),
        ({"BUILDKITE_PLUGINS": plugins("uv-test", "uv-test")}, ("uv-test, uv-test",)),
        ({"BUILDKITE_PLUGINS": '["./.buildkite/plugins/uv-test", "docker#v5.13.0"]'}, ("uv-test, docker",)),
        (
            {"BUILDKITE_PLUGINS": '[{"https://a.b/docker-compose-buildkite-plugin.git#v1": {}}, "./uv-test/"]'},
            ("docker-compose, uv-test",),
        ),
    ],
)
def test_a_second_owner_of_the_command_is_refused(
    check: Check, variables: dict[str, str], told: tuple[str, ...]
) -> None:
    done = check({}, "--owns-command", **variables)
    assert done.returncode == 2
    for text in told:
        assert text in done.stderr
    assert check({}, **variables).returncode == 0


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"BUILDKITE_COMMAND": "", "BUILDKITE_PLUGINS": plugins("uv-setup", "uv-test", "uv-setup")},
        {"BUILDKITE_PLUGINS": '["uv-test", {"cache#v1": null}]'},
    ],
)
def test_one_owner_is_fine(check: Check, variables: dict[str, str]) -> None:
    done = check({}, "--owns-command", **variables)
    assert done.returncode == 0, done.stderr
