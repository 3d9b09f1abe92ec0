"""Every scenario, written once: what users of all four platforms get."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from distributions import fetch_wheels
from services.index import PASSWORD, USERNAME

from conformance.scenario import Differs, Job, Scenario, Step, World

# ---------------------------------------------------------------------------------------------------------------------
# What is done to a project


def relock(*replacements: tuple[str, str]) -> Callable[[World], None]:
    """Alters `pyproject.toml`, and locks anew."""

    def edit(world: World) -> None:
        file = world.project / "pyproject.toml"
        text = file.read_text(encoding="utf-8")
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        file.write_text(text, encoding="utf-8")
        uv_lock(world.project)

    return edit


def uv_lock(folder: Path, *more: str) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "VIRTUAL_ENV"))}
    subprocess.run(["uv", "lock", "--quiet", "--no-config", *more], cwd=folder, env=clean, check=True)


def take(path: str, *, of: str, to: str) -> Callable[[World], None]:
    """Puts a file of another sample project into this one."""

    def edit(world: World) -> None:
        source = Path(__file__).resolve().parents[1] / "projects" / of / path
        shutil.copy(source, world.project / to)

    return edit


def without_lock(world: World) -> None:
    (world.project / "uv.lock").unlink()


def with_merge_marks(world: World) -> None:
    lock = world.project / "uv.lock"
    lock.write_text("<<<<<<< HEAD\n" + lock.read_text(encoding="utf-8"), encoding="utf-8")


def with_drifted_script(world: World) -> None:
    for name in ("fetch.py", "fetch.py.lock"):
        take(name, of="script", to=name)(world)
    script = world.project / "fetch.py"
    script.write_text(script.read_text(encoding="utf-8").replace("idna>=3.4", "idna>=3.4,<3.10"), encoding="utf-8")


def with_hostile_file(world: World) -> None:
    (world.project / "tests" / f"test_{COMMANDS_IN_A_NAME}.py").write_text(
        "def test_fails():\n    assert 1 == 2\n", encoding="utf-8"
    )


# ---------------------------------------------------------------------------------------------------------------------
# What is done to the index


def mirror_of_project(world: World) -> None:
    """Makes the index a mirror that anybody may read, with all that this project's lock names."""
    world.index.require_auth = False
    fetch_wheels(world.project / "uv.lock", world.index.packages)


def failing_twice(world: World) -> None:
    mirror_of_project(world)
    world.index.fail("/simple/*", 503, times=2)


def failing_for_good(world: World) -> None:
    mirror_of_project(world)
    world.index.fail("*", 503)


def refusing_publisher(world: World) -> None:
    world.oidc.publisher["repository"] = "acme/another"


# ---------------------------------------------------------------------------------------------------------------------
# What has come of it


def published(*names: str) -> Callable[[World], None]:
    def after(world: World) -> None:
        assert world.index.files() == sorted(names)

    return after


def nothing_published(world: World) -> None:
    assert world.index.uploads == []


def nothing_executed(world: World) -> None:
    """No command that stood in a value, a branch or a file's name has run."""
    made = [each for each in world.project.parents[1].rglob("owned*") if each.name in ("owned", "owned0")]
    assert made == []


def served_by_mirror(world: World) -> None:
    assert any(re.match(r"/packages/pytest-.*\.whl", each.path) and each.status == 200 for each in world.index.requests)


# ---------------------------------------------------------------------------------------------------------------------
# Words

APP = ("app-1.2.3-py3-none-any.whl", "app-1.2.3.tar.gz")

# Every way in which a shell, a template or Groovy would take text for something to run.
COMMANDS_IN_A_NAME = "$(touch owned)`touch owned`'\";touch owned;#"
HOSTILE = (
    "$(touch <owned>)",
    "`touch <owned>`",
    "'; touch <owned>; '",
    '"; touch <owned>; "',
    "--flag=$(touch <owned>)",
    "${HOME:-$(touch <owned>)}",
    "back\\slash at the end\\",
)
# GitLab takes no more than a kilobyte.
SHORT = [each.replace("<owned>", "owned") for each in HOSTILE]
# A branch's name can't have spaces.
HOSTILE_BRANCH = "it's-$(touch${IFS}<owned>)`touch${IFS}<owned>`\";touch${IFS}<owned>;'"

PASSWORD_OPTIONS = {
    "publish-url": "<upload>",
    "check-url": "<index>",
    "username": USERNAME,
    "password": "INDEX_PASSWORD",
}
SECRETS = {"INDEX_PASSWORD": PASSWORD}

# Which Pythons uv may take; it downloads none.
PYTHONS = {"UV_PYTHON_SEARCH_PATH": "<pythons>", "UV_PYTHON_DOWNLOADS": "never"}


def hostile(component: str, *options: str) -> Job:
    """A job whose texts all try to run something; it may fail, and nothing of them may run."""
    value = "\n".join(HOSTILE)
    return Job(steps=((component, dict.fromkeys(options, value)),), failed=component, after=nothing_executed)


def python(code: str, **options: str) -> Step:
    """The tests are a line of Python, run in the project's environment."""
    return ("test", {"command": "python", "args": f"-c\n{code}", **options})


# ---------------------------------------------------------------------------------------------------------------------

SETUP_SAVES: Step = ("setup", {"cache": "auto"})

NO_IDENTITY_ON_JENKINS = Differs(
    "Jenkins gives jobs no identity that an index trusts: it is refused, and the message names `credentialsId`.",
    "engine",
    (
        Job(
            steps=(("build", {}), ("publish", {"publish-url": "<upload>", "trusted-publishing": "always"})),
            situation="tag",
            failed="publish",
            exit=2,
            log=("credentialsId",),
            after=nothing_published,
        ),
    ),
)

NOT_YET_ON_BUILDKITE = "PyPI itself takes no identity of Buildkite yet; an index that does gets one."

TRUSTED = Job(
    steps=(("build", {}), ("publish", {"publish-url": "<trusted>"})),
    situation="tag",
    identity=True,
    outputs={"publish": {"published": "2"}},
    after=published(*APP),
)
REFUSED = Job(
    steps=TRUSTED.steps,
    situation="tag",
    identity=True,
    before=refusing_publisher,
    failed="publish",
    after=nothing_published,
)

SCENARIOS = (
    Scenario(
        "cold-then-exact",
        "The second job with the same lock takes the first one's cache.",
        (
            Job(steps=(SETUP_SAVES,), outputs={"setup": {"cache-state": "miss", "cache-key": "uv-actions-.+"}}),
            Job(steps=(SETUP_SAVES,), outputs={"setup": {"cache-state": "exact"}}),
        ),
    ),
    Scenario(
        "lock-change-saves",
        "After a change of the lock, a job that saves starts with an empty cache, and the next one has its entry.",
        (
            Job(steps=(SETUP_SAVES,)),
            Job(
                steps=(SETUP_SAVES,),
                edit=relock(("idna>=3.4", "idna>=3.4,<3.10")),
                outputs={"setup": {"cache-state": "miss"}},
            ),
            Job(steps=(SETUP_SAVES,), outputs={"setup": {"cache-state": "exact"}}),
        ),
    ),
    Scenario(
        "lock-change-restores",
        "After a change of the lock, a job that doesn't save begins with the newest entry there is.",
        (
            Job(steps=(SETUP_SAVES,)),
            Job(
                steps=(("setup", {"cache": "restore"}),),
                edit=relock(("idna>=3.4", "idna>=3.4,<3.10")),
                outputs={"setup": {"cache-state": "partial"}},
            ),
        ),
    ),
    Scenario(
        "drifted-lock",
        "A lock that doesn't fit its project fails the job, on the line to mend.",
        (
            Job(
                steps=(("lock-check", {}),),
                failed="lock-check",
                exit=1,
                findings=(r"pyproject\.toml", "sniffio"),
                log=("uv lock",),
            ),
        ),
        project="drifted",
    ),
    Scenario(
        "missing-lock",
        "A project without a lock fails the job.",
        (Job(steps=(("lock-check", {}),), edit=without_lock, failed="lock-check", findings=("uv lock",)),),
    ),
    Scenario(
        "merge-marked-lock",
        "A lock with the marks of a merge fails the job.",
        (Job(steps=(("lock-check", {}),), edit=with_merge_marks, failed="lock-check", findings=("merge",)),),
    ),
    Scenario(
        "drifted-script-lock",
        "A script whose lock doesn't fit it fails the job, and is named.",
        (Job(steps=(("lock-check", {}),), edit=with_drifted_script, failed="lock-check", findings=(r"fetch\.py",)),),
    ),
    Scenario(
        "wanted-python",
        "The Python that was asked for is the one that tests run on.",
        (
            Job(
                steps=(
                    ("setup", {"python-version": "3.14", "cache": "false"}),
                    python("import sys; assert sys.version_info[:2] == (3, 14)", **{"python-version": "3.14"}),
                ),
                env=PYTHONS,
                outputs={"setup": {"python-version": r"3\.14\..+"}},
            ),
        ),
    ),
    Scenario(
        "two-pythons-at-once",
        "Jobs with different Pythons run at the same time on one machine, each with its own.",
        tuple(
            Job(
                steps=(
                    ("setup", {"python-version": version, "cache": "false"}),
                    ("test", {"python-version": version}),
                ),
                env=PYTHONS,
                outputs={"setup": {"python-version": rf"{version}\..+"}, "test": {"passed": "2"}},
            )
            for version in ("3.10", "3.14")
        ),
        at_once=True,
    ),
    Scenario(
        "groups-and-extras",
        "What is installed is what was asked for: groups, extras, and no default group where it isn't wanted.",
        (
            Job(
                steps=(
                    ("setup", {"groups": "docs\nlint", "extras": "fast", "default-groups": "false", "cache": "false"}),
                ),
                log=(r"\+ sniffio==", r"\+ pluggy==", r"\+ packaging=="),
                never=(r"\+ pytest==",),
                edit=relock(
                    ("[project.scripts]", '[project.optional-dependencies]\nfast = ["sniffio"]\n\n[project.scripts]'),
                    ("[dependency-groups]", '[dependency-groups]\ndocs = ["pluggy"]\nlint = ["packaging"]'),
                ),
            ),
        ),
    ),
    Scenario(
        "lowest-direct",
        "Tests run with the oldest direct dependencies that the project allows, and its lock stays as it is.",
        (
            Job(
                steps=(
                    (
                        "test",
                        {
                            "resolution": "lowest-direct",
                            "command": "python",
                            "args": "-c\nimport idna; assert idna.__version__ == '3.4', idna.__version__",
                        },
                    ),
                ),
            ),
        ),
    ),
    Scenario(
        "failing-tests",
        "Failing tests fail the job, the platform shows which, and the cache is saved all the same.",
        (
            Job(
                steps=(SETUP_SAVES, ("test", {})),
                failed="test",
                exit=1,
                findings=("test_fails", "a message, with a comma: and 100%"),
            ),
            Job(steps=(SETUP_SAVES,), outputs={"setup": {"cache-state": "exact"}}),
        ),
        project="failing-tests",
    ),
    Scenario(
        "no-tests",
        "A job that collected no test fails.",
        (Job(steps=(("setup", {"cache": "false"}), ("test", {"args": "empty"})), failed="test", log=("no test",)),),
        project="failing-tests",
    ),
    Scenario(
        "workspace-member",
        "A member of a workspace is built by its name.",
        (
            Job(
                steps=(("build", {"package": "acme-core"}),),
                outputs={
                    "build": {"version": "0.3.0", "files": r"acme_core-0\.3\.0-.*whl\sacme_core-0\.3\.0\.tar\.gz"}
                },
            ),
        ),
        project="workspace",
    ),
    Scenario(
        "publish-twice",
        "What was built is published to an index with a password; a second time nothing is uploaded.",
        (
            Job(
                steps=(("build", {}), ("publish", PASSWORD_OPTIONS)),
                situation="tag",
                secrets=SECRETS,
                outputs={"publish": {"published": "2", "skipped": "0"}},
                never=(PASSWORD,),
                after=published(*APP),
            ),
            Job(
                steps=(("build", {}), ("publish", PASSWORD_OPTIONS)),
                situation="tag",
                secrets=SECRETS,
                outputs={"publish": {"published": "0", "skipped": "2"}},
                never=(PASSWORD,),
            ),
        ),
    ),
    Scenario(
        "wrong-password",
        "A password that the index refuses ends the job with exit code 4, and isn't shown.",
        (
            Job(
                steps=(("build", {}), ("publish", PASSWORD_OPTIONS)),
                situation="tag",
                secrets={"INDEX_PASSWORD": "wr0ng-s3cr3t"},
                failed="publish",
                exit=4,
                never=("wr0ng-s3cr3t",),
                after=nothing_published,
            ),
        ),
    ),
    Scenario(
        "trusted-publishing",
        "Without a password the job's own identity is enough.",
        (TRUSTED,),
        differs={
            "jenkins": NO_IDENTITY_ON_JENKINS,
            "buildkite": Differs(NOT_YET_ON_BUILDKITE, "engine", (TRUSTED,)),
        },
    ),
    Scenario(
        "refused-claims",
        "An identity that the index refuses ends the job, and the claims are shown.",
        (replace(REFUSED, log=("acme/app", "invalid-publisher")),),
        differs={
            "jenkins": NO_IDENTITY_ON_JENKINS,
            "buildkite": Differs(
                NOT_YET_ON_BUILDKITE, "engine", (replace(REFUSED, log=("pipeline_slug", "invalid-publisher")),)
            ),
        },
    ),
    Scenario(
        "wrong-option",
        "An option that doesn't exist is refused.",
        (Job(steps=(("setup", {"python-verison": "3.12"}),), failed="setup", log=("python-?[vV]erison",)),),
        differs={
            "github": Differs("GitHub warns of it and goes on, which no action can change.", "nothing"),
        },
    ),
    Scenario(
        "wrong-value",
        "A value that isn't allowed is refused, with the option's name.",
        (Job(steps=(("setup", {"cache": "sometimes"}),), failed="setup", log=("cache", "sometimes")),),
    ),
    Scenario(
        "index-back-again",
        "An index that answers 503 twice is asked again, and the job goes on.",
        (
            Job(
                steps=(("setup", {"mirror": "<index>", "cache": "false"}),),
                before=failing_twice,
                after=served_by_mirror,
            ),
        ),
        project="failing-tests",
    ),
    Scenario(
        "index-down",
        "An index that is down for good ends the job with exit code 5, and the message says so.",
        (
            Job(
                steps=(("setup", {"mirror": "<index>", "cache": "false"}),),
                before=failing_for_good,
                env={"UV_HTTP_RETRIES": "1"},
                failed="setup",
                exit=5,
                log=("503", "To mend it"),
            ),
        ),
        project="failing-tests",
    ),
    Scenario(
        "mirror",
        "With a mirror every package comes from it, and the lock of PyPI holds.",
        (
            Job(
                steps=(
                    ("setup", {"mirror": "<index>", "cache": "false"}),
                    ("test", {"mirror": "<index>", "args": "tests/test_results.py::test_passes"}),
                ),
                before=mirror_of_project,
                outputs={"test": {"passed": "1"}},
                after=served_by_mirror,
            ),
        ),
        project="failing-tests",
    ),
    Scenario(
        "hostile-options",
        "Nothing that stands in an option is executed.",
        (
            hostile("setup", "groups", "extras", "packages", "sync-args", "cache-profile"),
            hostile("setup", "uv-version", "checksum", "python-version", "working-directory"),
            hostile("lock-check", "paths"),
            hostile("test", "args", "groups", "command"),
            hostile("build", "package"),
            hostile("publish", "dist", "username"),
        ),
    ),
    Scenario(
        "arguments-unchanged",
        "What stands in the arguments of the tests reaches them as it was written.",
        (
            Job(
                steps=(
                    ("setup", {"cache": "false"}),
                    (
                        "test",
                        {
                            "command": "python",
                            "args": "\n".join(["-c", "import sys; print('got', sys.argv[1:] == <hostile>)", *SHORT]),
                        },
                    ),
                ),
                log=("got True",),
                after=nothing_executed,
            ),
        ),
    ),
    Scenario(
        "hostile-names",
        "Nothing that stands in a branch's or a file's name is executed, and the report names the file.",
        (
            Job(
                steps=(("setup", {}), ("test", {})),
                situation="change",
                branch=HOSTILE_BRANCH,
                edit=with_hostile_file,
                failed="test",
                findings=(r"touch owned",),
                after=nothing_executed,
            ),
        ),
    ),
    Scenario(
        "two-jobs-at-once",
        "Two jobs run at the same time on one machine that has nothing yet.",
        tuple(Job(steps=(SETUP_SAVES, ("test", {})), outputs={"test": {"passed": "2"}}) for _ in range(2)),
        at_once=True,
    ),
    Scenario(
        "change-cannot-write-trusted",
        "What the job of a change request saves is never read by a job of the default branch.",
        (
            Job(steps=(("setup", {"cache": "true"}),), situation="change", branch="topic"),
            Job(steps=(("setup", {"cache": "true"}),), outputs={"setup": {"cache-state": "miss"}}),
        ),
        differs={
            "github": Differs("GitHub itself keeps the entries of refs apart; the local engine doesn't.", "nothing"),
        },
    ),
)
