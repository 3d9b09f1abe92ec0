"""The services as pytest fixtures; `conftest.py` registers this module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.index import Index
from services.oidc import Oidc


@pytest.fixture
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """A package index that asks for a password."""
    with Index(tmp_path_factory.mktemp("index")) as index:
        yield index


@pytest.fixture
def oidc(tmp_path_factory: pytest.TempPathFactory, index: Index) -> Iterator[Oidc]:
    """An identity issuer and the trusted-publishing endpoints of the same index, over TLS."""
    folder: Path = tmp_path_factory.mktemp("oidc")
    with Oidc(folder, index) as oidc:
        yield oidc
