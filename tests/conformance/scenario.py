"""The form in which scenarios are written: what is run, and what users of every platform get.

Text in options, edits and expectations may hold the words of `World.words`, such as `<index>`, which stand for what
exists only while a scenario runs.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from engines.buildkite import Buildkite
from engines.outcome import Outcome
from services.index import Index
from services.oidc import Oidc

# Those whose engine runs the scenarios; a row of the table has a column for each.
PLATFORMS = ("github", "gitlab", "jenkins", "buildkite")

# A component and its options, by the names and in the text forms that its GitHub action has.
Step = tuple[str, Mapping[str, str]]


class Engine(Protocol):
    """What every engine in `tests/engines/` can do."""

    def components(
        self,
        project: Path,
        steps: Sequence[Step],
        *,
        situation: str = ...,
        env: Mapping[str, str] | None = ...,
        secrets: Mapping[str, str] | None = ...,
        branch: str = ...,
        timeout: float = ...,
    ) -> Outcome: ...


@dataclass
class World:
    """What a scenario runs in: one project, one index, one machine."""

    platform: str
    project: Path
    index: Index
    oidc: Oidc
    pythons: Mapping[str, Path]
    commit: Callable[[Path], None]
    words: dict[str, str] = field(default_factory=dict)

    def fill(self, text: str) -> str:
        """The text with its words replaced by what they stand for."""
        for word, meaning in self.words.items():
            text = text.replace(word, meaning)
        return text


@dataclass(frozen=True)
class Job:
    """A run of components one after the other, and what comes of it.

    `edit` changes the project before, which is then committed; with `identity` the job may ask for a token of its own.
    Of `findings`, `log` and `never` each is a regular expression that is (or is not) found in the reports, in the log,
    and in both.
    """

    steps: tuple[Step, ...]
    situation: str = "default-branch"
    branch: str = "main"
    env: Mapping[str, str] = field(default_factory=dict)
    identity: bool = False
    secrets: Mapping[str, str] = field(default_factory=dict)
    edit: Callable[[World], None] | None = None
    before: Callable[[World], None] | None = None
    failed: str = ""
    exit: int | None = None
    outputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    after: Callable[[World], None] | None = None


@dataclass(frozen=True)
class Differs:
    """How a platform differs, why, and what holds it there: `engine`, `guard` (a static check), or `nothing`.

    `jobs` are what is run in place of the scenario's; without them the scenario isn't run there.
    """

    reason: str
    held_by: str
    jobs: tuple[Job, ...] = ()


@dataclass(frozen=True)
class Scenario:
    """One promise to users, and the jobs that show it. With `at_once` they run at the same time, on one machine."""

    id: str
    promise: str
    jobs: tuple[Job, ...]
    project: str = "app"
    at_once: bool = False
    differs: Mapping[str, Differs] = field(default_factory=dict)

    @property
    def components(self) -> list[str]:
        """The components that take part, in their usual order."""
        used = {name for job in self.jobs for name, _ in job.steps}
        return [each for each in ("setup", "cache", "lock-check", "test", "build", "publish") if each in used]

    def jobs_on(self, platform: str) -> tuple[Job, ...]:
        """What is run there; nothing where the platform can't have it."""
        return self.differs[platform].jobs if platform in self.differs else self.jobs


def play(scenario: Scenario, world: World, new_engine: Callable[[str], Engine]) -> None:
    """Runs a scenario, and asserts that what came out is what it promises."""
    jobs = scenario.jobs_on(world.platform)
    if not scenario.at_once:
        engine = new_engine("engine")
        for job in jobs:
            _check(job, _run(job, world, engine), world)
        return
    outcomes: dict[int, Outcome] = {}

    def run(number: int, job: Job) -> None:
        outcomes[number] = _run(job, world, new_engine(f"engine-{number}"))

    threads = [threading.Thread(target=run, args=each) for each in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, job in enumerate(jobs):
        _check(job, outcomes[number], world)


def _run(job: Job, world: World, engine: Engine) -> Outcome:
    if job.edit:
        job.edit(world)
        world.commit(world.project)
    if job.before:
        job.before(world)

    def filled(texts: Mapping[str, str]) -> dict[str, str]:
        return {name: world.fill(text) for name, text in texts.items()}

    return engine.components(
        world.project,
        [(name, {**_store(name, world), **filled(options)}) for name, options in job.steps],
        situation=job.situation,
        branch=world.fill(job.branch),
        env=filled(job.env) | (_identity(world, engine) if job.identity else {}),
        secrets=filled(job.secrets),
    )


def _store(component: str, world: World) -> dict[str, str]:
    """Where the platform has no cache of its own, the store that its users configure."""
    needed = component == "setup" and world.platform in ("jenkins", "buildkite")
    return {"cache-store": world.fill("<store>")} if needed else {}


def _identity(world: World, engine: Engine) -> dict[str, str]:
    """Lets the job ask for an identity, in the way of its platform; what it sees of that."""
    if world.platform == "gitlab":
        return world.oidc.gitlab_env
    if isinstance(engine, Buildkite):
        engine.api.oidc = lambda request: world.oidc.signed(world.oidc.buildkite_claims, request["audience"])
        world.oidc.publisher["workflow"] = ""  # Buildkite's identities have none
        return world.oidc.trust
    return world.oidc.env


def _check(job: Job, outcome: Outcome, world: World) -> None:
    told = f"{outcome.findings}\n{outcome.log}"
    assert outcome.failed == job.failed, told
    assert outcome.ok == (not job.failed), told
    if job.exit is not None and outcome.exit is not None:
        assert outcome.exit == job.exit, told
    for component, outputs in job.outputs.items():
        given = outcome.outputs.get(component, {})
        for name, pattern in outputs.items():
            value = given.get(name, "")
            assert re.fullmatch(world.fill(pattern), value, re.DOTALL), f"{component}.{name} is {value!r}\n{told}"
    for pattern in job.findings:
        assert re.search(world.fill(pattern), outcome.findings), f"no report of {pattern!r} in: {told}"
    for pattern in job.log:
        assert re.search(world.fill(pattern), told), f"nothing says {pattern!r} in: {told}"
    for pattern in job.never:
        assert not re.search(world.fill(pattern), told + repr(outcome.outputs)), f"{pattern!r} is in: {told}"
    if job.after:
        job.after(world)
