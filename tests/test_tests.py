"""What holds of all tests: they patch time and the environment, and they lie where what they test lies."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
PATCHES = {"setattr", "setitem", "delattr", "delitem", "syspath_prepend", "patch"}
CLOCKS = {"time", "timezone"}
# The environment; pytest-django's fixture, or Django's own in a process that is made for one test.
SETTINGS = {"settings", "os"}
# Ten at most. What nothing but a patch can show, by file and by what is patched, with the reason.
PATCHED = {
    # Every test is kept from the network; a test of a name server answers in its place.
    ("tests/conftest.py", "socket.socket.connect"): 1,
    ("tests/conftest.py", "socket.socket.connect_ex"): 1,
    ("tests/conftest.py", "socket.getaddrinfo"): 1,
    # A worker of its own, in which a part hangs that never does; and signs of life each tenth of a second.
    ("tests/console/pulsing_worker.py", "pulse.LONGEST_WAIT"): 1,
    ("tests/console/pulsing_worker.py", "pulse.ASK_SECONDS"): 1,
    ("tests/console/pulsing_worker.py", "pulse.SECONDS"): 1,
    ("tests/console/pulsing_worker.py", "pulse.LONGEST_SILENCE"): 1,
    ("tests/console/pulsing_worker.py", "Schedule.tick"): 1,
    # A process of its own that dies at the very moment of a commit.
    ("tests/faults/web_that_dies.py", "connection._commit"): 1,
}


def imported(tree: ast.Module) -> set[str]:
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    return {(alias.asname or alias.name).partition(".")[0] for node in found for alias in node.names}


def patched(tree: ast.Module) -> Iterator[str]:
    """By a call, such as `monkeypatch.setattr(where, "what", …)`, or by an assignment to what another module has."""
    names = imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in PATCHES:
            yield ".".join(ast.unparse(argument).strip("'\"") for argument in node.args[:2])
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("setattr", "delattr", "patch"):
            if ast.unparse(node.args[0]) in names - SETTINGS:
                yield ".".join(ast.unparse(argument).strip("'\"") for argument in node.args[:2])
        else:
            targets = [
                target for one in assigned(node) for target in (one.elts if isinstance(one, ast.Tuple) else [one])
            ]
            for target in targets:
                if isinstance(target, ast.Attribute) and ast.unparse(target.value) in names - SETTINGS:
                    yield ast.unparse(target)


def assigned(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign | ast.Delete):
        return node.targets
    return [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign) else []


def is_time(what: str) -> bool:
    """Such as `time.monotonic`, `module.time.monotonic` or `timezone.now`."""
    return what.split(".")[-2] in CLOCKS


def test_only_time_and_the_environment_are_patched() -> None:
    found = Counter(
        (str(path.relative_to(ROOT)), what)
        for path in sorted(TESTS.rglob("*.py"))
        for what in patched(ast.parse(path.read_text()))
        if not is_time(what)
    )
    assert found == PATCHED
    assert found.total() <= 10


def test_a_patch_is_found_in_each_form() -> None:
    code = """
import module
from package import Class, time
monkeypatch.setattr(module, "LIMIT", 3)
monkeypatch.setattr("module.LIMIT", 3)
monkeypatch.setitem(module.TABLE, "key", 3)
module.LIMIT = 3
Class.method, other = print, 3
monkeypatch.setattr(time, "monotonic", print)
setattr(module, "LIMIT", 3)
own.attribute = 3
"""
    found = Counter(what for what in patched(ast.parse(code)) if not is_time(what))
    assert found == {"module.LIMIT": 3, "module.LIMIT.3": 1, "module.TABLE.key": 1, "Class.method": 1}


def test_nothing_stands_for_a_library_that_patches() -> None:
    names = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        for path in TESTS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert {name for name in names if name.startswith(("unittest.mock", "pytest_mock", "mock"))} == set()


# Below a folder that is named as what they test, but of no module: what all of it does together.
OF_ALL = {
    # Every page, its templates, and what other people wrote.
    "tests/console/test_files_away.py",
    "tests/console/test_no_500.py",
    "tests/console/test_shortages.py",
    "tests/console/test_templates.py",
    "tests/console/test_vendor.py",
    # The local server with everything that it starts, killed, confused, asked by gcloud, or led through its whole way.
    "tests/jobs/localvertex/test_crash.py",
    "tests/jobs/localvertex/test_document.py",
    "tests/jobs/localvertex/test_fuzz.py",
    "tests/jobs/localvertex/test_gcloud.py",
    "tests/jobs/localvertex/test_whole_way.py",
    # Each of the fast operations against the plain one.
    "tests/jobs/localvertex/engine/fast/test_operations.py",
    # What several services keep, seen from a second machine.
    "tests/jobs/services/test_shared_files.py",
}


def modules_of(folder: Path) -> set[str]:
    """And packages, as a test can be named: `check-process` without its hyphen, `__main__` without what is around it,
    a migration without its number."""
    found = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    return {re.sub(r"^\d{4}_", "", name.replace("-", "_").strip("_")) for name in found - {"__init__"}}


def is_of_a_module(test: Path) -> bool:
    """`test_module.py`, or `test_module_aspect.py`; a package has also `test_package.py` in its own folder."""
    folder, name = ROOT / test.relative_to(TESTS).parent, test.stem.removeprefix("test_")
    return name == folder.name or any(f"{name}_".startswith(f"{module}_") for module in modules_of(folder))


def test_each_unit_test_lies_where_its_module_does() -> None:
    tests = sorted(path for tree in ("console", "jobs") for path in (TESTS / tree).rglob("test_*.py"))
    assert {str(path.relative_to(ROOT)) for path in tests if not is_of_a_module(path)} == OF_ALL


def test_a_test_that_lies_elsewhere_is_found() -> None:
    kinds = (
        "console/test_urls.py",
        "console/test_urls_more.py",
        "console/test_nothing.py",
        "jobs/vertex/test_clients.py",
    )
    assert [is_of_a_module(TESTS / kind) for kind in kinds] == [True, True, False, False]
