"""The local Vertex AI with a notebook: how each call ended, a line each, in `calls.jsonl` of the data directory."""

import json
import sys
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.app import Application
from jobs.localvertex.program import main

FILE = "calls.jsonl"
PROGRAM = "tests.contract.clients.recording"


class Recorded(Application):
    async def _faulty(self, method: str, work: Any, *arguments: Any) -> ASGIApp:
        try:
            answer = await super()._faulty(method, work, *arguments)
        except ApiError as refusal:
            self._note(method, refusal.status)
            raise
        self._note(method, "OK")
        return answer

    def _note(self, method: str, status: str) -> None:
        folder = Path(sys.argv[sys.argv.index("--data-dir") + 1])
        with (folder / FILE).open("a") as file:
            file.write(json.dumps([method, status]) + "\n")


if __name__ == "__main__":
    main(Recorded)
