"""The same options, defaults and outputs on all platforms, but for what parity.toml gives reasons for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import parity
import pytest
import tomllib
from parity import COMPONENTS, PLATFORMS, Difference

ROOT = Path(__file__).resolve().parent.parent
STATED: dict[str, Any] = tomllib.loads((ROOT / "tests" / "parity.toml").read_text(encoding="utf-8"))

# The keys of an entry that name what differs: kind and what.
KINDS = {
    "adds": ("adds", "option"),
    "lacks": ("lacks", "option"),
    "adds-outputs": ("adds", "output"),
    "lacks-outputs": ("lacks", "output"),
}


def stated(entries: list[dict[str, Any]]) -> set[Difference]:
    """The differences that entries speak of; one that is stated twice, or without a reason, fails."""
    found: list[Difference] = []
    for entry in entries:
        unknown = set(entry) - {"platforms", "components", "reason", "default", *KINDS}
        assert not unknown, f"parity.toml: no entry has {unknown}"
        assert entry["reason"].strip(), entry
        assert set(entry["platforms"]) <= set(PLATFORMS), entry
        assert set(entry["components"]) <= set(COMPONENTS), entry
        for platform in entry["platforms"]:
            for component in entry["components"]:
                for key, (kind, what) in KINDS.items():
                    found += [Difference(platform, component, kind, what, name) for name in entry.get(key, ())]
                for name, value in entry.get("default", {}).items():
                    found.append(Difference(platform, component, "default", "option", name, value))
    assert len(found) == len(set(found)), "parity.toml states a difference twice"
    return set(found)


def missing() -> set[tuple[str, str]]:
    """The components that aren't there yet, as parity.toml says."""
    return {(each["platform"], component) for each in STATED["absent"] for component in each["components"]}


def test_every_component_is_there_but_those_that_are_stated() -> None:
    gone = parity.absent(ROOT) - missing()
    assert not gone, f"components that aren't there: {sorted(gone)}"
    there = missing() - parity.absent(ROOT)
    assert not there, f"these are there now, so take them out of `absent` in tests/parity.toml: {sorted(there)}"


def test_every_difference_is_stated_with_its_reason() -> None:
    unstated = parity.differences(ROOT) - stated(STATED["difference"])
    assert not unstated, f"mend these, or state them with a reason in tests/parity.toml: {sorted(unstated)}"


def test_every_stated_difference_is_one() -> None:
    about = {each for each in stated(STATED["difference"]) if (each.platform, each.component) not in missing()}
    unneeded = about - parity.differences(ROOT)
    assert not unneeded, f"take these out of tests/parity.toml: {sorted(unneeded)}"


@pytest.mark.parametrize("component", COMPONENTS)
def test_options_and_outputs_are_seen(component: str) -> None:
    for name, read in {"github": parity.github, **PLATFORMS}.items():
        if (name, component) not in missing():
            interface = read(ROOT, component)
            assert interface
            assert "mirror" in interface.options
            assert interface.outputs


# One component, the same on all platforms.
ALIKE = {
    "actions/lock-check/action.yml": """\
inputs:
  fail-on: {default: error}
  key-files: {default: "a\\nb"}
  scripts: {default: "true"}
  paths: {default: ""}
outputs:
  worst-state: {value: x}
""",
    "gitlab-templates/lock-check.yml": """\
spec:
  inputs:
    fail-on: {default: error}
    key-files: {default: "a\\nb"}
    scripts: {default: "true"}
    paths: {default: ""}
---
x:
  script:
    - |
      # uv-actions: include _end.sh
""",
    "gitlab-templates/_end.sh": 'uv_actions_output LOCK_CHECK_WORST_STATE "$uv_out_worst_state"\n',
    "jenkins-shared-lib/vars/uvLockCheck.txt": """\
<ul>
<li><code>failOn</code>: When. Default: <code>'error'</code></li>
<li><code>keyFiles</code>: Which <code>a</code>. Default: <code>['a', 'b']</code></li>
<li><code>scripts</code>: Whether. Default: <code>true</code></li>
<li><code>paths</code>: Where. Default: <code>[]</code></li>
</ul>
""",
    "jenkins-shared-lib/vars/uvLockCheck.groovy": "Map f() { return job.outputs(worstState: '') }\n",
    "buildkite-plugins/uv-lock-check/plugin.yml": """\
configuration:
  properties:
    fail-on: {default: error}
    key-files: {default: [a, b]}
    scripts: {default: true}
    paths: {default: []}
""",
    "buildkite-plugins/uv-lock-check/hooks/pre-command": 'tell_outputs "$code" worst_state\n',
}


def write(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def test_translations_are_no_differences(tmp_path: Path) -> None:
    write(tmp_path, ALIKE)
    assert parity.differences(tmp_path) == set()
    assert parity.absent(tmp_path) == {
        (name, each) for name in PLATFORMS for each in COMPONENTS if each != "lock-check"
    }


GITLAB, GROOVY = "gitlab-templates/lock-check.yml", "jenkins-shared-lib/vars/uvLockCheck"
PLUGIN = "buildkite-plugins/uv-lock-check"


@pytest.mark.parametrize(
    ("path", "old", "new", "found"),
    [
        (GITLAB, "fail-on: {default: error}", "fail-on: {default: never}", ["gitlab default option fail-on never"]),
        (GITLAB, "paths:", "path:", ["gitlab adds option path", "gitlab lacks option paths"]),
        (
            "gitlab-templates/_end.sh",
            "WORST_STATE",
            "STATE",
            ["gitlab adds output state", "gitlab lacks output worst-state"],
        ),
        (f"{GROOVY}.txt", "['a', 'b']", "['a']", ["jenkins default option key-files a"]),
        (f"{GROOVY}.txt", "<code>true", "<code>false", ["jenkins default option scripts false"]),
        (f"{GROOVY}.txt", "failOn", "failon", ["jenkins adds option failon", "jenkins lacks option fail-on"]),
        (f"{GROOVY}.groovy", "worstState: ''", "", ["jenkins lacks output worst-state"]),
        (f"{PLUGIN}/plugin.yml", "default: true", "default: false", ["buildkite default option scripts false"]),
        (
            f"{PLUGIN}/plugin.yml",
            "    paths:",
            "    pats:",
            ["buildkite adds option pats", "buildkite lacks option paths"],
        ),
        (f"{PLUGIN}/hooks/pre-command", "worst_state", "worst_state x", ["buildkite adds output x"]),
    ],
)
def test_a_difference_is_found(path: str, old: str, new: str, found: list[str], tmp_path: Path) -> None:
    assert old in ALIKE[path]
    write(tmp_path, ALIKE | {path: ALIKE[path].replace(old, new)})
    texts = [
        f"{each.platform} {each.kind} {each.what} {each.name} {each.default}".strip()
        for each in sorted(parity.differences(tmp_path))
    ]
    assert texts == found


@pytest.mark.parametrize(
    "entry",
    [
        {"reason": ""},
        {"reason": "why", "platforms": ["hudson"]},
        {"reason": "why", "components": ["lint"]},
        {"reason": "why", "add": ["x"]},
        {"reason": "why", "adds": ["x", "x"]},
    ],
    ids=str,
)
def test_an_entry_that_says_nothing_is_refused(entry: dict[str, Any]) -> None:
    whole = {"platforms": ["gitlab"], "components": ["setup"], "adds": ["x"]}
    assert stated([whole | {"reason": "why"}]) == {Difference("gitlab", "setup", "adds", "option", "x")}
    with pytest.raises(AssertionError):
        stated([whole | entry])
