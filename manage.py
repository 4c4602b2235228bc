#!/usr/bin/env python
import os
import sys
from argparse import ArgumentParser
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def named_data_dir(arguments: list[str]) -> str:
    """Of `up`. The settings open the data directory before the command sees its options."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--data-dir", nargs="?", default="")
    return parser.parse_known_args(arguments)[0].data_dir or "" if arguments[:1] == ["up"] else ""


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    if folder := named_data_dir(sys.argv[1:]):
        os.environ["CONSOLE_DATA_DIR"] = str(Path(folder).resolve())
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"{type(error).__name__}: {error}")
