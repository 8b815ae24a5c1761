"""`quac <stage>`: parses, calls one function, writes the declared files.

Each stage takes the paths of its inputs and outputs, its settings from its
key file (`--key`), and what must not change its result (threads, device)
as options. The workflow calls these; a person may as well. The commands of
`convert` and `models` are for a person: they take a checkpoint, and nothing
of its run.
"""

from quac.cli import (  # noqa: F401 (each adds its commands)
    classifier,
    config,
    conversion,
    convert,
    data,
    models,
    report,
    training,
)
from quac.cli.command import app


def main():
    app()
