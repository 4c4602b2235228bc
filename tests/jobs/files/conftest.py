from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.stores import KEYS, LONG, google_store, s3_store, use


@pytest.fixture(scope="session")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with google_store(tmp_path_factory.mktemp("google")) as url:
        yield url


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3_store(tmp_path_factory.mktemp("s3")) as url:
        yield url


@pytest.fixture
def s3_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=["folder", "google", "s3"])
def files(request: pytest.FixtureRequest, settings: Any, s3_keys: None) -> str:
    """The same of each: what is behind `store` now, by name."""
    use(settings, "" if request.param == "folder" else request.getfixturevalue(request.param), LONG)
    return str(request.param)


@pytest.fixture
def data_dir(settings: Any) -> Path:
    return Path(settings.DATA_DIR)
