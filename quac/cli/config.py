"""What is there to see: a checkpoint's networks, a config with every default."""

from pathlib import Path
from typing import Annotated

import typer

from quac.cli.command import Log, app, guarded, stage
from quac.system.errors import QuacError

config = typer.Typer(no_args_is_help=True, help="Configs.")
app.add_typer(config, name="config")


@stage
def summary(
    model: Annotated[Path, typer.Argument(help="Checkpoint, ours or imported.")],
    log_file: Log = None,
):
    """Show what a checkpoint holds: classes, range and sizes of its images, its networks."""
    import torch

    from quac.models.starganv2.checkpoint import open_checkpoint

    description, networks = open_checkpoint(model, torch.device("cpu"))
    counts = {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}
    _print(
        {
            "classes": description.classes,
            "step": description.step,
            "images": description.model_dump(mode="json", exclude={"model", "classes", "step", "format"}),
            "model": description.model.model_dump(),
            "parameters": counts,
        }
    )


@config.command()
@guarded
def show(
    files: Annotated[list[Path], typer.Argument(help="Config files; of two that say otherwise, the later one counts.")],
    log_file: Log = None,
):
    """Show a config as the workflow resolves it, every default filled in; of several runs, one after the other."""
    import yaml

    from quac.config.runs import merged, resolve_runs

    layers = {}
    for path in files:
        try:
            layer = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise QuacError(f"{path}: is no YAML ({error}); correct it") from None
        if not isinstance(layer, dict | None):
            raise QuacError(f"{path}: must be a mapping of sections, such as `data:` and `solver:`")
        layers = merged(layers, layer or {})
    for number, config in enumerate(resolve_runs(layers).configs.values()):
        print("---\n" if number else "", end="")
        _print(config.model_dump())


def _print(value):
    import yaml

    print(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), end="")
