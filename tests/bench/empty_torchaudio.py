"""Puts an empty torchaudio into the environment of the Python that runs this: what only names it is content with it."""

import sysconfig
from pathlib import Path


def main() -> None:
    site = Path(sysconfig.get_path("purelib"))
    (site / "torchaudio").mkdir(exist_ok=True)
    (site / "torchaudio/__init__.py").touch()
    about = site / "torchaudio-2.13.0.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: torchaudio\nVersion: 2.13.0\n")
    (about / "RECORD").write_text("torchaudio/__init__.py,,\n")
    (about / "INSTALLER").write_text("empty_torchaudio\n")


if __name__ == "__main__":
    main()
