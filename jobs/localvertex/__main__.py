"""The local Vertex AI as a program: `python -m jobs.localvertex --data-dir DIR`, or `localvertex`."""

import importlib
import re
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

GOOGLE = ("google.cloud.aiplatform_v1beta1", "google.cloud.aiplatform_v1")
TYPES = "types"


def main() -> None:
    without_what_takes_long()
    from jobs.localvertex.program import main as run  # noqa: PLC0415  # after the line above, or it changes nothing

    run()


def without_what_takes_long() -> None:
    """Google's packages import sixty service clients before any message type, and all message types where one is
    needed: 44 MB and half a second for nothing here. httpx imports a program for terminals."""
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # how Python spells "not there"
    for name in GOOGLE:
        spec = find_spec(name)
        if spec is not None and spec.submodule_search_locations and name not in sys.modules:
            package = _stand_in(ModuleType(name), spec)
            of_types = find_spec(f"{name}.{TYPES}")
            if of_types is not None and of_types.submodule_search_locations:
                package.__dict__[TYPES] = _stand_in(Types(of_types), of_types)


class Types(ModuleType):
    """Google's package of message types, which reads the module of a type when the type is asked for."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        assert spec.origin
        self._modules = dict(_find_types(Path(spec.origin).read_text(encoding="utf-8")))

    def __getattr__(self, name: str) -> Any:
        module = self.__dict__["_modules"].get(name)
        if module is None:
            raise AttributeError(name)
        found = getattr(importlib.import_module(f"{self.__name__}.{module}"), name)
        setattr(self, name, found)
        return found


def _find_types(code: str) -> Iterator[tuple[str, str]]:
    """`from .module import (A, B)`, which is all that is written there."""
    for module, names in re.findall(r"^from \.(\w+) import \(([^)]*)\)", code, re.MULTILINE):
        yield from ((name, module) for name in re.findall(r"\w+", names))


def _stand_in(package: ModuleType, spec: ModuleSpec) -> ModuleType:
    package.__path__ = list(spec.submodule_search_locations or [])
    package.__spec__ = spec
    sys.modules[spec.name] = package
    return package


if __name__ == "__main__":
    main()
