"""Which sentences the code says that a row may hold."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEFERRED_MODULE = "jobs/text/deferred.py"
DEFERRED = ("gettext", "ngettext", "Sentence")
LAZY = ("gettext_lazy", "gettext_noop", "ngettext_lazy")


@dataclass(frozen=True)
class CodeSentence:
    """A sentence of the code. Without a text: what cannot be read from the code, because it is no literal."""

    place: str
    text: str
    plural: str = ""

    @property
    def key(self) -> tuple[str, bool]:
        return self.text, bool(self.plural)


def find_sentences(root: Path = ROOT) -> Iterator[CodeSentence]:
    """Whatever deferred gettext is given, anywhere, and the labels of the domain, which can be values of it."""
    for path in sorted([*root.glob("jobs/**/*.py"), *root.glob("console/**/*.py")]):
        place = path.relative_to(root).as_posix()
        if not place.startswith(("jobs/localvertex/", "jobs/migrations/", "jobs/text/retired.py")):
            yield from find_in_code(place, path.read_text(encoding="utf-8"))


def find_in_code(place: str, code: str) -> Iterator[CodeSentence]:
    module = ast.parse(code)
    names = dict(find_names(place, module))
    calls = [node for node in ast.walk(module) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda call: call.lineno):
        name = names.get(ast.unparse(call.func)) if isinstance(call.func, ast.Name | ast.Attribute) else None
        wanted = 2 if name and name.startswith("ngettext") else 1
        texts = [str(one.value) for one in call.args[:wanted] if isinstance(one, ast.Constant)]
        if name and len(texts) == wanted:
            yield CodeSentence(f"{place}:{call.lineno}", *texts)
        elif name and place != DEFERRED_MODULE:
            yield CodeSentence(f"{place}:{call.lineno}", "")


def find_names(place: str, module: ast.Module) -> Iterator[tuple[str, str]]:
    """(name here, name there) of the functions whose sentences need a kind."""
    if place == DEFERRED_MODULE:
        yield "Sentence", "Sentence"
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and node.module:
            deferred = node.module.endswith("text.deferred")
            lazy = node.module == "django.utils.translation" and place.startswith("jobs/")
            for name in node.names:
                if name.name in (DEFERRED if deferred else LAZY if lazy else ()):
                    yield name.asname or name.name, name.name
                elif name.name == "deferred":
                    yield from ((f"{name.asname or name.name}.{function}", function) for function in DEFERRED)
