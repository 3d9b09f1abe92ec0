"""The api of acme."""

import idna
from acme_core import read


def host(text: str) -> str:
    """The host that serves the api."""
    return idna.encode(read(text, "host")).decode()
