"""The tables of faults and threats in docs/reliability.md, drawn from the markers of the tests.

`python -m tests.support.matrix` writes them anew.
"""

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reliability.md"
KINDS = {"faults": "fault", "threats": "threat"}
TITLES = {"faults": "Faults", "threats": "Threats"}


@dataclass
class Row:
    name: str
    case: str
    holds: str
    file: str
    tests: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def read_rows(kind: str) -> dict[str, Row]:
    listed = tomllib.loads((ROOT / "tests/support/matrix.toml").read_text(encoding="utf-8"))[kind]
    return {name: Row(name, **values) for name, values in listed.items()}


def find_tests() -> Iterator[Path]:
    return (path for path in sorted((ROOT / "tests").rglob("test_*.py")))


def find_marks(node: ast.AST) -> Iterator[tuple[str, str]]:
    """(marker, row) of every `pytest.mark.fault("F1", …)` below a node."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in KINDS.values():
            for argument in call.args:
                if isinstance(argument, ast.Constant):
                    yield call.func.attr, str(argument.value)


def find_covered(path: Path) -> Iterator[tuple[str, str, str]]:
    """(marker, row, test) of one file; a marker of the whole file goes to each of its tests."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    common = [
        mark
        for node in module.body
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "pytestmark" for target in node.targets)
        for mark in find_marks(node)
    ]
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            own = [mark for decorator in node.decorator_list for mark in find_marks(decorator)]
            for marker, row in sorted({*common, *own}):
                yield marker, row, node.name


@cache
def collect(kind: str) -> tuple[dict[str, Row], list[str]]:
    """The rows with their tests, and markers that name no row."""
    rows, unknown = read_rows(kind), []
    for path in find_tests():
        for marker, name, test in find_covered(path):
            if marker != KINDS[kind]:
                continue
            if name in rows:
                rows[name].tests[path.relative_to(ROOT).as_posix()].append(test)
            else:
                unknown.append(f"{path.relative_to(ROOT)}::{test} names {name}")
    return rows, unknown


def draw(kind: str) -> str:
    rows, _unknown = collect(kind)
    lines = ["| | what happens | what holds | tests |", "|---|---|---|---|"]
    for row in rows.values():
        tests = "<br>".join(f"`{path}`: {len(names)}" for path, names in row.tests.items())
        lines.append(f"| {row.name} | {row.case} | {row.holds} | {tests} |")
    return "\n".join(lines)


def insert(page: str) -> str:
    for kind in KINDS:
        begin, end = f"<!-- {kind}: begin -->\n", f"\n<!-- {kind}: end -->"
        before, _begin, rest = page.partition(begin)
        page = f"{before}{begin}{draw(kind)}{end}{rest.partition(end)[2]}"
    return page


if __name__ == "__main__":
    PAGE.write_text(insert(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
