"""The section of several runs: what tells them apart."""

from pydantic import ConfigDict

from quac.config.section import Section, key


class Overlay(Section):
    """A list of runs (docs/several-runs.md): each has a name, and sections that are merged over the rest."""

    model_config = ConfigDict(**{**Section.model_config, "extra": "allow"})

    name: str = key(
        ...,
        "Name of the run: its folder is `solver.root_dir/<name>`, its report `reports/<log.name>-<name>.html`, or "
        "`reports/<name>.html` without a `log.name`. Letters, digits, `_`, `-` and `.`.",
    )
