from pathlib import Path

import pytest


@pytest.fixture
def templates() -> list[Path]:
    root = Path(__file__).parents[2] / "templates"
    return sorted(root.rglob("*.html"))
