"""Cleans each file of a folder and writes what came of it as JSON: a process that is small itself, because Linux counts
what a parent has used at most as used by its children, too.
"""

import json
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from django.conf import settings

settings.configure(USE_I18N=False)

from jobs.errors import ImageRefused  # noqa: E402
from jobs.services.image_files.image_file import clean  # noqa: E402


def outcome(path: Path) -> dict[str, object]:
    began = time.monotonic()
    with path.open("rb") as file:
        try:
            picture = clean(file, size=path.stat().st_size, name="it", side=896)
            result = {"size": [picture.width, picture.height], "type": picture.content_type, "file": f"{path}.clean"}
            Path(f"{path}.clean").write_bytes(picture.content)
        except ImageRefused as error:
            result = {"refused": str(error)}
        except Exception as error:
            result = {"failed": repr(error)}
    return {"name": path.name, "seconds": time.monotonic() - began, **result}


def main() -> None:
    paths = sorted(Path(sys.argv[1]).iterdir())
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(outcome, paths))
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024

    json.dump({"results": results, "largest_child": largest}, sys.stdout)


main()
