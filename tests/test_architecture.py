import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver, reverse

ROOT = Path(__file__).parents[1]


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


def test_what_the_local_server_starts_without() -> None:
    unwanted = {"django", "celery", "torch", "transformers"}
    assert unwanted & modules_after("import jobs.localvertex.app") == set()


def test_what_the_web_starts_without() -> None:
    unwanted = {"google.api_core", "google.cloud.storage", "torch", "transformers", "xllamacpp"}
    assert unwanted & modules_after("import console.asgi") == set()


def test_the_import_contracts_hold() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    assert subprocess.run([command], capture_output=True, check=False).returncode == 0


def pages(resolver: URLResolver) -> Iterator[str]:
    """The first word of the address of each page of the console."""
    for entry in resolver.url_patterns:
        if isinstance(entry, URLPattern | URLResolver):
            yield str(entry.pattern).removeprefix("^").partition("/")[0]


def texts_of_code(path: Path) -> Iterator[str]:
    """Every text of a module, of one that is put together its beginning; what comes after an address of a host, too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    pieces = {id(piece) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for piece in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in pieces:
            yield node.value
        if isinstance(node, ast.JoinedStr):
            first, *rest = node.values
            is_host = isinstance(first, ast.FormattedValue) and "URL" in ast.unparse(first)
            piece = rest[0] if is_host and rest else first
            if isinstance(piece, ast.Constant):
                yield str(piece.value)


def test_the_domain_knows_no_address_of_a_page() -> None:
    beginnings = tuple(f"/{word}/" for word in sorted(set(pages(get_resolver()))) if word and "<" not in word)
    assert "/tuning/" in beginnings
    # Addresses of others: of the local server, and of things in Vertex AI. What migrations did is done.
    apart = [ROOT / "jobs" / name for name in ("localvertex", "migrations", "vertex")]
    found = [
        (path.relative_to(ROOT).as_posix(), text)
        for path in sorted((ROOT / "jobs").rglob("*.py"))
        if not any(path.is_relative_to(folder) for folder in apart)
        for text in texts_of_code(path)
        if text.startswith(beginnings)
    ]
    assert found == []


def test_what_the_console_hands_over_are_addresses_of_its_pages() -> None:
    value = "2b1a6c2e-7a35-4f0e-9d0f-3f6f7c1f2a10"
    names = {"leave": "leave", "notification": "notification", "confirm-email": "settings-email-confirm"}
    assert settings.PAGES.keys() == names.keys()
    assert settings.PAGES["leave"].format(value) == f"{reverse('leave')}?to={value}"
    for page in ("notification", "confirm-email"):
        assert settings.PAGES[page].format(value) == reverse(names[page], args=[value])


def test_sets_of_states_of_a_tuning_job_are_named_in_one_place() -> None:
    """Of the endpoints' own code, which is left out here, the states of a job are asked of the job, too."""
    found = []
    for path in sorted([*(ROOT / "jobs").rglob("*.py"), *(ROOT / "console").rglob("*.py")]):
        name = path.relative_to(ROOT).as_posix()
        if name == "jobs/states.py" or name.startswith(("jobs/services/endpoints/", "jobs/migrations/")):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Call)
                and "TuningState." in ast.unparse(node)
            ):
                found += [name] if ast.unparse(node.value.func) in ("frozenset", "set") else []
    assert found == []


def modules_by_folder() -> dict[Path, list[Path]]:
    """Of the program: neither tests nor migrations, and no package's own `__init__`."""
    folders: dict[Path, list[Path]] = {}
    for top in ("console", "jobs"):
        for path in (ROOT / top).rglob("*.py"):
            if "migrations" not in path.parts and path.name != "__init__.py":
                folders.setdefault(path.parent, []).append(path)
    return folders


def test_no_folder_has_more_modules_than_a_reader_can_survey() -> None:
    folders = modules_by_folder()
    assert len(folders) > 50
    assert {str(folder.relative_to(ROOT)): len(paths) for folder, paths in folders.items() if len(paths) > 16} == {}


def test_no_module_is_longer_than_a_reader_can_follow() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for paths in modules_by_folder().values()
        for path in paths
    }
    assert {path: length for path, length in lengths.items() if length > 350} == {}


def test_nearly_all_files_are_short() -> None:
    paths = [path for top in ("console", "jobs") for path in (ROOT / top).rglob("*.py")]
    lengths = [len(path.read_text("utf-8").splitlines()) for path in paths if "migrations" not in path.parts]
    written = sorted(filter(None, lengths))
    assert written[len(written) * 95 // 100] <= 250
