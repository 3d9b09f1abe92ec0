"""The GitHub engine itself: what it tells about a run is what happened."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from engines.github import Annotation, Github, read_log, silent_server
from engines.machine import Machine

CACHE = "actions/cache/{}@27d5ce7f107fe9357f9df03efb73ab90386fccae"

COMPOSITE = """\
name: outer
description: A composite action with another one inside
inputs: {word: {description: a word, default: none}}
outputs: {said: {description: the word, value: "${{ steps.inner.outputs.said }}"}}
runs:
  using: composite
  steps:
    - id: inner
      uses: org/uv-actions/inner@v1
      with: {word: "${{ inputs.word }}"}
"""
INNER = """\
name: inner
description: Tells its word in every way
inputs: {word: {description: a word}}
outputs: {said: {description: the word, value: "${{ steps.say.outputs.said }}"}}
runs:
  using: composite
  steps:
    - id: say
      shell: sh
      run: sh "$GITHUB_ACTION_PATH/../scripts/say" "$WORD"
      env: {WORD: "${{ inputs.word }}"}
    - shell: sh
      run: echo '## second' >> "$GITHUB_STEP_SUMMARY"
"""
SAY = """\
echo "said=$1" >> "$GITHUB_OUTPUT"
echo "## first $1" >> "$GITHUB_STEP_SUMMARY"
echo "::notice file=a=b.py,line=3,title=x%3Ay::100%25 of%0A$1"
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with an empty release: what is tested here has nothing to do with the collection."""
    for name in ("no release", "shared"):
        (tmp_path / name).mkdir()
    return Machine(tmp_path / "no release", tmp_path / "shared")


@pytest.fixture
def checkout(tmp_path: Path, commit_all: Callable[[Path], None]) -> Path:
    folder = tmp_path / "a checkout"
    folder.mkdir()
    (folder / "file.txt").write_text("content\n")
    commit_all(folder)
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A release tree of another collection: two composite actions, one inside the other."""
    for name, text in {"outer/action.yml": COMPOSITE, "inner/action.yml": INNER, "scripts/say": SAY}.items():
        path = tmp_path / "other release" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "other release"


def say(script: str, **more: object) -> dict[str, object]:
    return {"id": "say", "shell": "sh", "run": script, **more}


def test_nested_composite_actions_tell_each_thing_once(github: Github, checkout: Path, tree: Path) -> None:
    run = github.run(
        checkout, [{"id": "a", "uses": "org/uv-actions/outer@v1", "with": {"word": "hi"}}], releases={"v1": tree}
    )
    assert run.ok, run.log
    assert run.outputs["a"] == {"said": "hi"}
    assert run.summary == "## first hi\n## second\n"
    assert run.annotations == [Annotation("notice", "100% of\nhi", "x:y", "a=b.py", 3)]
    assert run.steps["a"] == "success"


def test_two_releases_side_by_side(github: Github, checkout: Path, tree: Path, tmp_path: Path) -> None:
    quiet = tmp_path / "v2" / "inner" / "action.yml"
    quiet.parent.mkdir(parents=True)
    quiet.write_text(INNER.replace("run: sh", "run: echo"))
    steps = [
        {"id": "one", "uses": "org/uv-actions/inner@v1", "with": {"word": "hi"}},
        {"id": "two", "uses": "org/uv-actions/inner@v2"},
    ]
    run = github.run(checkout, steps, releases={"v1": tree, "v2": tmp_path / "v2"})
    assert run.outputs["one"] == {"said": "hi"}
    assert run.outputs["two"] == {"said": ""}


def test_a_failing_step_fails_the_run_and_skips_the_next(github: Github, checkout: Path) -> None:
    steps = [
        say("echo out=1 >> \"$GITHUB_OUTPUT\"; echo '::error title=T::last words'; exit 3"),
        {"id": "next", "shell": "sh", "run": "echo never"},
        {"id": "always", "if": "always()", "shell": "sh", "run": "echo anyway"},
    ]
    run = github.run(checkout, steps)
    assert run.rc == 1
    assert not run.ok
    assert run.steps == {**run.steps, "say": "failure", "next": "skipped", "always": "success"}
    assert run.outputs["say"] == {"out": "1"}
    assert run.annotations == [Annotation("error", "last words", "T")]
    assert "anyway" in run.log.splitlines()


def test_the_last_words_of_a_failing_step_are_never_lost(github: Github, checkout: Path) -> None:
    steps = [
        {"shell": "bash", "continue-on-error": True, "run": f"seq 2000; echo '::error::end {number}'; exit 1"}
        for number in range(5)
    ]
    run = github.run(checkout, steps)
    assert run.messages("error") == [f"end {number}" for number in range(5)]
    assert run.log.splitlines().count("2000") == 5


def test_a_step_has_no_terminal_and_no_input(github: Github, checkout: Path) -> None:
    run = github.run(checkout, [say("test -t 1 || echo no terminal; cat; tput colors || true")])
    assert "no terminal" in run.log.splitlines()


@pytest.mark.parametrize("name", ["github", "my github"])
def test_the_job_sees_a_checkout(new_github: Callable[[str], Github], name: str, checkout: Path) -> None:
    run = new_github(name).run(checkout, [say("cat file.txt; git log --oneline | wc -l; echo new > made.txt")])
    assert "content" in run.log.splitlines()
    assert (" " in run.env["GITHUB_WORKSPACE"]) == (" " in name)
    assert (" " in run.env["RUNNER_TEMP"]) == (" " in name)
    assert (run.workspace / "made.txt").read_text() == "new\n"
    assert not (checkout / "made.txt").exists()


def test_without_a_checkout_the_workspace_is_empty(github: Github, checkout: Path) -> None:
    run = github.run(checkout, [say("ls -A | wc -l")], checkout=False)
    assert "0" in run.log.splitlines()


def test_the_environment_is_a_hosted_runners_and_nothing_of_the_callers(
    github: Github, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("UV_INDEX_URL", "UV_CACHE_DIR", "VIRTUAL_ENV", "PYTHONPATH", "GITHUB_TOKEN", "SECRET"):
        monkeypatch.setenv(name, "leak")
    run = github.run(
        checkout, [say("command -v uv || echo no uv; node --version; python3 --version")], env={"MINE": "a b"}
    )
    assert "leak" not in run.env.values()
    assert run.env["MINE"] == "a b"
    assert run.env["RUNNER_ENVIRONMENT"] == "github-hosted"
    assert run.env["HOME"] != os.environ["HOME"]
    assert "no uv" in run.log.splitlines()


def test_exports_reach_later_steps(github: Github, checkout: Path, tmp_path: Path) -> None:
    script = f'echo A=1 >> "$GITHUB_ENV"; echo "{tmp_path}/tools" >> "$GITHUB_PATH"'
    run = github.run(checkout, [say(script)])
    assert run.env["A"] == "1"
    assert run.env["PATH"].split(":")[0] == f"{tmp_path}/tools"


def test_the_event_is_what_was_asked_for(github: Github, checkout: Path) -> None:
    payload = {"number": 7, "pull_request": {"head": {"ref": "topic"}, "base": {"ref": "main"}}}
    run = github.run(
        checkout,
        [say('echo "branch=${{ github.event.repository.default_branch }}" >> "$GITHUB_OUTPUT"')],
        event="pull_request",
        ref="refs/pull/7/merge",
        default_branch="trunk",
        payload=payload,
    )
    assert run.outputs["say"] == {"branch": "trunk"}
    assert run.env["GITHUB_EVENT_NAME"] == "pull_request"
    assert run.env["GITHUB_REF"] == "refs/pull/7/merge"
    assert run.env["GITHUB_HEAD_REF"] == "topic"


@pytest.mark.parametrize(
    "event", ["schedule", "workflow_dispatch", "workflow_run", "merge_group", "release", "issue_comment"]
)
def test_any_event_can_start_a_run(github: Github, checkout: Path, event: str) -> None:
    run = github.run(checkout, [say("true")], event=event, default_branch=None)
    assert run.ok, run.log
    assert run.env["GITHUB_EVENT_NAME"] == event
    assert run.env["GITHUB_REF"] == "refs/heads/main"


def test_artifacts_are_kept(github: Github, checkout: Path) -> None:
    script = 'curl -fsS -T file.txt "${ACTIONS_RUNTIME_URL}upload/$GITHUB_RUN_ID?itemPath=mine/file.txt"'
    run = github.run(checkout, [say(script)])
    assert run.ok, run.log
    assert (github.artifacts / "1" / "mine" / "file.txt").read_text() == "content\n"


def test_a_workflow_of_several_jobs(github: Github, checkout: Path) -> None:
    give = [{"id": "a", "run": 'echo x=1 >> "$GITHUB_OUTPUT"'}]
    take = [{"id": "b", "run": 'echo "y=${{ needs.first.outputs.x }}2" >> "$GITHUB_OUTPUT"'}]
    first = {"outputs": {"x": "${{ steps.a.outputs.x }}"}, "steps": give}
    workflow = {"jobs": {"first": first, "second": {"needs": "first", "steps": take}}}
    run = github.run(checkout, workflow=workflow)
    assert run.outputs["a"] == {"x": "1"}
    assert run.outputs["b"] == {"y": "12"}


def test_masked_text_is_not_in_the_log(github: Github, checkout: Path) -> None:
    run = github.run(checkout, [say('echo "::add-mask::hunter2"; echo "it is hunter2"')])
    assert "it is ***" in run.log.splitlines()
    assert "hunter2" not in run.log.replace("::add-mask::hunter2", "").replace('it is hunter2"', "")


def save_and_restore(key: str, path: str, *, prefix: str = "") -> list[dict[str, object]]:
    inputs = {"path": path, "key": key, "restore-keys": prefix}
    return [
        {"id": "restore", "uses": CACHE.format("restore"), "with": inputs},
        {"id": "look", "shell": "sh", "run": f'cat "{path}/f" || echo nothing there'},
        {"shell": "sh", "run": f'mkdir -p "{path}" && echo {key} > "{path}/f"'},
        {"id": "save", "uses": CACHE.format("save"), "with": {"path": path, "key": key}},
    ]


def test_a_cache_that_was_saved_is_restored_in_the_next_run(github: Github, checkout: Path) -> None:
    path = f"{github.runner_temp}/cache"
    first = github.run(checkout, save_and_restore("k-1", path))
    assert first.ok, first.log
    assert first.outputs["restore"] == {"cache-primary-key": "k-1"}
    assert "nothing there" in first.log.splitlines()

    exact = github.run(checkout, save_and_restore("k-1", path))
    assert exact.outputs["restore"] == {"cache-primary-key": "k-1", "cache-matched-key": "k-1", "cache-hit": "true"}
    assert "k-1" in exact.log.splitlines()

    partial = github.run(checkout, save_and_restore("k-2", path, prefix="k-"))
    assert partial.outputs["restore"] == {"cache-primary-key": "k-2", "cache-matched-key": "k-1", "cache-hit": "false"}
    assert "k-1" in partial.log.splitlines()


def test_lookup_only_and_fail_on_miss(github: Github, checkout: Path) -> None:
    path = f"{github.runner_temp}/c"
    github.run(checkout, save_and_restore("k", path))
    look = {"id": "look", "uses": CACHE.format("restore"), "with": {"path": path, "key": "k", "lookup-only": "true"}}
    found = github.run(checkout, [look])
    assert found.outputs["look"]["cache-hit"] == "true"
    assert not (github.runner_temp / "c").exists()
    need = {
        "id": "need",
        "uses": CACHE.format("restore"),
        "with": {"path": path, "key": "x", "fail-on-cache-miss": "true"},
    }
    missed = github.run(checkout, [need])
    assert missed.steps["need"] == "failure"
    assert "fail-on-cache-miss is set" in missed.messages("error")[0]


def test_a_cache_server_that_is_dead(github: Github, checkout: Path) -> None:
    run = github.run(checkout, save_and_restore("k", f"{github.runner_temp}/c"), cache_url="http://127.0.0.1:9")
    assert run.ok, run.log
    assert run.outputs["restore"] == {"cache-primary-key": "k"}
    assert run.messages("warning")[-1] == "Cache save failed."


def test_two_instances_share_nothing(new_github: Callable[[str], Github], checkout: Path, tmp_path: Path) -> None:
    steps = save_and_restore("k", f"{tmp_path}/c")
    new_github("one").run(checkout, steps)
    run = new_github("other").run(checkout, steps)
    assert "cache-hit" not in run.outputs["restore"]


def test_a_run_that_hangs_ends_with_its_processes(github: Github, checkout: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    script = f"echo started; setsid sleep 300 & echo $! > '{tmp_path}/pid'; wait"
    with pytest.raises(TimeoutError, match="started"):
        github.run(checkout, [say(script)], timeout=5)
    assert time.monotonic() - began < 20
    assert not is_running(int((tmp_path / "pid").read_text()))


def is_running(pid: int) -> bool:
    """Whether there is such a process, and not just what is left of one that nobody has waited for."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return "State:\tZ" not in status


def test_a_self_hosted_runner_keeps_its_home_and_a_hosted_one_does_not(github: Github, checkout: Path) -> None:
    look = [say('ls -A "$HOME"; touch "$HOME/mark"; ls -A "$RUNNER_TEMP" | wc -l; touch "$RUNNER_TEMP/mark"')]
    own = {"RUNNER_ENVIRONMENT": "self-hosted"}
    github.run(checkout, look, env=own)
    assert "mark" in github.run(checkout, look, env=own).log.splitlines()
    hosted = github.run(checkout, look)
    assert "mark" not in hosted.log.splitlines()
    assert "0" in hosted.log.splitlines()


def test_a_silent_server_takes_connections(github: Github, checkout: Path) -> None:
    with silent_server() as url:
        run = github.run(checkout, [say(f"curl -sS --max-time 2 {url} || echo gave up $?")])
    assert "gave up 28" in run.log.splitlines()


def test_annotations_are_read_as_the_runner_reads_them() -> None:
    raw = "::error file=a%2Cb.py,line=12,endLine=13,title=1 %3A 2::%2525 and %250A"
    record = {"command": "error", "raw": f"{raw}\r\n", "msg": "", "stepID": ["x"], "jobID": "j"}
    assert read_log(json.dumps(record))[1] == [Annotation("error", "%25 and %0A", "1 : 2", "a,b.py", 12)]
