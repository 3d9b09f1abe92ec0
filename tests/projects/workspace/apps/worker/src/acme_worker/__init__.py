"""The worker of acme."""

from acme_core import read


def jobs(text: str) -> int:
    """How many jobs run at once."""
    return int(read(text, "jobs"))
