"""The command line: a file per room; a command parses, calls one function of its room, and writes the declared files.

A stage of the workflow takes the paths of its inputs and outputs, its settings from its key file (`--key`), and as
options what does not change its result, such as threads and device. The other commands are for users.
"""

import re  # noqa: I001 (below, users' commands come first)
import sys

# Each adds its commands; `quac --help` shows those for users first.
from quac.cli import convert, models, config, data, report, training  # noqa: F401
from quac.cli import classifier, conversion, evaluation, explanation  # noqa: F401
from quac.cli.command import app
from quac.system.files import read_json
from quac.system.threads import limit_spinning


def main() -> None:
    limit_spinning()  # before torch is loaded
    app(args=expanded(sys.argv[1:]))


def expanded(arguments: list[str]) -> list[str]:
    """Arguments, with those in place of a `@file` that the workflow has written into such a file, since the length of a
    command line is limited: a JSON list, named by its digest."""
    words: list[str] = []
    for word in arguments:
        words += read_json(word[1:]) if re.fullmatch(r"@.*/quac-keys/[0-9a-f]{64}\.json", word) else [word]
    return words
