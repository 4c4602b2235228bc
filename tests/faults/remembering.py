"""A fake gateway in another process: what it created is in a file that only grows."""

import os
from pathlib import Path

from tests.fakes import Creation, FakeGateway
from tests.support import factories


class Ledger(list[Creation]):
    def append(self, creation: Creation) -> None:
        super().append(creation)
        with Path(os.environ["FAULTS_LEDGER"]).open("a") as file:
            file.write(f"{creation.kind} {creation.labels['app-key']}\n")


class Gateway(FakeGateway):
    def __init__(self) -> None:
        super().__init__(automatic=True, ledger=Ledger())
        self.catalogue.acknowledged.add(factories.BASE_MODEL)
