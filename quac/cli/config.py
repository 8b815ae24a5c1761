"""Configs, with every default filled in."""

from pathlib import Path
from typing import Annotated

import typer

from quac.cli.command import Key, Log, Out, app, guarded, stage

config = typer.Typer(no_args_is_help=True, help="Configs.")
app.add_typer(config, name="config")


@config.command()
@guarded
def show(
    files: Annotated[list[Path], typer.Argument(help="Config files, merged from left to right.")],
    log_file: Log = None,
) -> None:
    """Show a config as the workflow resolves it, with every default; several runs one after the other."""
    from quac.config.runs import read_layers, resolve_runs
    from quac.system.files import yaml_text

    configs = resolve_runs(read_layers(files)).configs.values()
    print("---\n\n".join(yaml_text(config.model_dump(mode="json")) for config in configs), end="")


@stage
def resolve_config(key: Key, out: Out, log_file: Log = None) -> None:
    """Write the resolved config, with every default, as YAML."""
    from quac.config.keys import read_key
    from quac.system.files import write_text, yaml_text

    write_text(out, yaml_text(read_key(key).model_dump(mode="json")))
