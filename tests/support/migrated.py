"""A database with all its tables, made once for all processes of a run: migrating takes four seconds of processor."""

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass
class Migrated:
    """`folder` is that of all processes of the run; a process that is alone has none, and migrates for itself."""

    folder: Path | None = None

    def share(self, folder: Path) -> None:
        self.folder = folder

    def copy_to(self, file: Path) -> None:
        """Unless there is one. Whoever comes first makes it, and the others wait."""
        if self.folder is None or file.exists():
            return
        with (self.folder / "migrated.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (self.folder / "migrated").exists():
                self._make(self.folder / "partial")
                (self.folder / "partial").rename(self.folder / "migrated")
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.folder / "migrated/console.sqlite3", file)
        file.chmod(0o600)

    def _make(self, data_dir: Path) -> None:
        known = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        given = known | {"CONSOLE_DATA_DIR": str(data_dir), "DJANGO_SETTINGS_MODULE": "console.settings"}
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "-v0", "--skip-checks"], cwd=ROOT, env=given, check=True
        )


migrated = Migrated()
