"""What a run of components gave, told the same way by every engine, so that one scenario can be held against all."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Outcome:
    """The end of a job, or of a pipeline.

    `outputs` maps a component to its outputs, by the names that its GitHub action has; `findings` is the text of what
    the platform's own reports show; `failed` is the component that failed, empty if none did; `exit` its exit code, and
    `seconds` how long each component took, where the platform tells it.
    """

    ok: bool
    log: str
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    findings: str = ""
    failed: str = ""
    exit: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
