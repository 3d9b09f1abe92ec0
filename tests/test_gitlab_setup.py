"""What a job gets from the fragments `setup` and `cache` on GitLab."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engines.gitlab import Gitlab, Job, Situation

Project = Callable[[str], Path]

# Every way in which a shell would take text for something to run, in a list that has one item a line.
HOSTILE = "$(touch owned)\n`touch owned`\n'; touch owned; '\n\"; touch owned; \"\n--flag=$(touch owned)\n${HOME:-x}"


def config(gitlab: Gitlab, *commands: str, **inputs: Any) -> dict[str, Any]:
    """A pipeline of one job, which uses the fragment and then runs the commands."""
    job = {"extends": ".uv-setup", "script": ["!reference [.uv-setup, script]", *commands]}
    return {"include": [gitlab.include("setup", inputs)], "job": job}


def state(job: Job) -> str:
    return job.dotenv["UV_ACTIONS_SETUP_CACHE_STATE"]


def stored(gitlab: Gitlab) -> list[str]:
    """What the runner's store holds for protected refs: packages as uv unpacks them, and the files beside its cache."""
    paths = list((gitlab.state / "caches" / "protected").rglob("*"))
    return sorted(path.name for path in paths if path.suffix == ".dist-info" or path.parent.name == "saved")


def relock(app: Path, old: str, new: str, commit_all: Callable[[Path], None]) -> None:
    pyproject = app / "pyproject.toml"
    pyproject.write_text(pyproject.read_text("utf-8").replace(old, new), encoding="utf-8")
    subprocess.run(["uv", "lock", "--quiet", "--no-config"], cwd=app, check=True)
    commit_all(app)


def test_the_cache_is_cold_then_exact_and_begins_anew_with_a_new_lock(
    gitlab: Gitlab, project: Project, commit_all: Callable[[Path], None]
) -> None:
    app = project("app")
    told = "uv --version; uv run --locked --offline python -c 'import app, idna'; echo \"cache $UV_CACHE_DIR, at $PWD\""
    # The cache is there although the job fails after the sync.
    cold = gitlab.run(app, config(gitlab, told, "exit 9"), image="alpine").job("job")
    assert (cold.exit, state(cold)) == (9, "miss")
    assert f"cache {cold.checkout}/.uv-actions/saved/cache, at {cold.checkout}\n" in cold.log
    assert cold.dotenv["UV_ACTIONS_SETUP_CACHE_KEY"].startswith("uv-actions-1-linux-")
    assert cold.dotenv["UV_ACTIONS_SETUP_VENV"] == f"{cold.checkout}/.venv"
    assert f"uv {cold.dotenv['UV_ACTIONS_SETUP_UV_VERSION']}" in cold.log
    assert subprocess.check_output(["git", "status", "--porcelain"], cwd=cold.checkout, text=True) == ""
    before = stored(gitlab)
    assert "key" in before

    exact = gitlab.run(app, config(gitlab, told), image="slim").job("job")
    assert (exact.status, state(exact)) == ("success", "exact")
    assert "Downloading" not in exact.log
    assert stored(gitlab) == before

    relock(app, "idna>=3.4", "idna>=3.4,<3.10", commit_all)
    partial = gitlab.run(app, config(gitlab, told, cache="restore")).job("job")
    assert (partial.status, state(partial)) == ("success", "partial")
    assert stored(gitlab) == before, "a job that only restores has changed what is stored"
    other = gitlab.run(app, config(gitlab, told), situation=Situation(branch="topic", merge_request=True)).job("job")
    assert state(other) == "miss", "a merge request has read what GitLab keeps for protected refs"
    anew = gitlab.run(app, config(gitlab, told)).job("job")
    assert (anew.status, state(anew)) == ("success", "miss")
    (idna,) = [name for name in stored(gitlab) if name.startswith("idna-")]
    assert idna.startswith("idna-3.9")


def test_a_tag_works_in_an_empty_cache_and_stores_nothing(gitlab: Gitlab, project: Project) -> None:
    app = project("app")
    assert gitlab.run(app, config(gitlab)).ok
    before = stored(gitlab)
    job = gitlab.run(app, config(gitlab, "echo cache $UV_CACHE_DIR"), situation=Situation(tag="v1.2.3")).job("job")
    assert state(job) == "off"
    assert job.dotenv["UV_ACTIONS_SETUP_CACHE_KEY"] == ""
    cache = Path(re.findall(r"^cache (.+)$", job.log, re.MULTILINE)[-1])
    assert not cache.is_relative_to(job.checkout)
    assert not (job.checkout / ".uv-actions" / "saved").exists()
    assert stored(gitlab) == before


def test_the_fragment_can_be_included_twice(gitlab: Gitlab, project: Project, pythons: Callable[[], Any]) -> None:
    found = pythons()
    fragments = {"old": {"python-version": "3.10"}, "new": {"python-version": "3.14", "default-groups": "false"}}
    jobs = {
        name: {
            "extends": f".of-{name}",
            "script": [f"!reference [.of-{name}, script]", "uv run --locked --no-sync python -c 'import idna'"],
        }
        for name in fragments
    }
    includes = [gitlab.include("setup", {"job-name": f".of-{name}", **each}) for name, each in fragments.items()]
    pipeline = gitlab.run(
        project("app"), {"include": includes, **jobs}, path=[found[each].parent for each in ("3.10", "3.14")]
    )
    assert pipeline.ok, pipeline.log
    versions = {name: pipeline.job(name).dotenv["UV_ACTIONS_SETUP_PYTHON_VERSION"] for name in fragments}
    assert versions["old"].startswith("3.10.")
    assert versions["new"].startswith("3.14.")
    assert "+ pytest==" in pipeline.job("old").log
    assert "+ pytest==" not in pipeline.job("new").log
    keys = {pipeline.config[name]["cache"][0]["key"] for name in fragments}
    assert keys == {"uv-actions-.of-old--py3.10", "uv-actions-.of-new--py3.14"}


@pytest.mark.parametrize("names", [("groups", "extras", "packages", "sync-args"), ("uv-version", "checksum")])
def test_nothing_in_an_option_or_a_branch_is_executed(gitlab: Gitlab, project: Project, names: tuple[str, ...]) -> None:
    branch = "it's-$(touch${IFS}owned)`touch${IFS}owned`\";touch${IFS}owned;'"
    inputs = dict.fromkeys(names, HOSTILE)
    pipeline = gitlab.run(project("app"), config(gitlab, **inputs), situation=Situation(branch=branch))
    job = pipeline.job("job")
    assert job.status == "failed"
    assert "To mend it" in job.log or "error:" in job.log
    assert not list(gitlab.state.rglob("owned*"))


@pytest.mark.parametrize(
    ("inputs", "complaint"),
    [
        ({"python-verison": "3.12"}, "unknown input arguments: python-verison"),
        ({"cache": "sometimes"}, "`cache` input: `sometimes` cannot be used because it is not in the list"),
        ({"sync": True}, "`sync` input: provided value is not a string"),
        ({"python-version": 3.10}, "`python-version` input: provided value is not a string"),
        ({"cache-profile": "a/b"}, "`cache-profile` input: provided value does not match"),
        ({"job-name": "setup"}, "`job-name` input: provided value does not match"),
    ],
)
def test_wrong_options_make_no_pipeline(
    gitlab: Gitlab, project: Project, inputs: dict[str, Any], complaint: str
) -> None:
    pipeline = gitlab.run(project("app"), config(gitlab, **inputs))
    assert complaint in pipeline.invalid
    assert not pipeline.jobs


def test_what_a_job_may_not_have_fails_with_the_mend(gitlab: Gitlab, project: Project) -> None:
    quoted = gitlab.run(project("app"), config(gitlab, **{"python-version": "3.1"})).job("job")
    assert quoted.exit == 2
    assert "put quotes around it, '3.10'" in quoted.log
    missing = gitlab.run(project("script"), config(gitlab, "touch reached")).job("job")
    assert missing.exit == 2
    assert "error: there is no `pyproject.toml`" in missing.log
    assert not (missing.checkout / "reached").exists()


@pytest.mark.parametrize("image", ["slim", "alpine"])
def test_other_work_can_be_cached(gitlab: Gitlab, project: Project, image: str) -> None:
    cached = {
        "include": [gitlab.include("cache", {"key-files": "fetch.py.lock"})],
        "job": {
            "extends": ".uv-cache",
            "script": [
                "!reference [.uv-cache, script]",
                '"$uv_out_uv_folder/uv" sync --script fetch.py --locked --quiet; touch "$UV_CACHE_DIR/work"',
                "!reference [.uv-cache-save, script]",
            ],
        },
    }
    repository = project("script")
    first, second = (gitlab.run(repository, cached, image=image).job("job") for _ in range(2))
    assert (first.status, first.dotenv["UV_ACTIONS_CACHE_STATE"]) == ("success", "miss")
    assert (second.status, second.dotenv["UV_ACTIONS_CACHE_STATE"]) == ("success", "exact")
    assert int(second.dotenv["UV_ACTIONS_CACHE_BYTES"]) > 0
    assert "work" in {path.name for path in (gitlab.state / "caches").rglob("work")}
