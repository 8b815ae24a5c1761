"""config/README.md: every key of the schema with its meaning and default. `make docs` writes it."""

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from quac.config import Config
from quac.config.data import Split
from quac.config.runs import RunOverride
from quac.config.section import Section, section_of

INTRODUCTION = """\
# The config, key by key

Generated from `quac/config/` by `make docs`; a test holds them equal.

Write only what differs from the defaults. Layers: these defaults < `--configfile` files, left to right < a run of
`runs` < `--config`; mappings are merged, lists are replaced. `config.yaml` in this folder is the demo's, and is read
only when no `--configfile` is given. Unknown keys are refused. Top-level keys that begin with `x-` are free, for YAML
anchors. A config of QuAC (github.com/funkelab/quac) works unchanged.

`~`, `$NAME` and `${NAME}` in paths are replaced, here and in lists of images; a variable that is not set is an error.
Refused are also a key that is repeated (YAML would keep the last), a number that begins with 0 (YAML reads `010` as 8),
and a name that YAML reads as a number or as true or false: put it in quotes.

A config is code, like a classifier: with `__use_yte__: true`, Snakemake runs Python that it contains, also with `-n`.
Run only configs of people you trust. `quac config show` runs nothing.
"""


def reference() -> str:
    """The text of config/README.md."""
    parts = [INTRODUCTION]
    top = []
    for name, field in Config.model_fields.items():
        section = section_of(field)
        if section:
            needed = " Required." if field.is_required() else ""
            table = "" if section is Split else "\n" + _table(section)
            parts.append(f"## {name}\n\n{(section.__doc__ or '').strip()}{needed}\n{table}")
        else:
            top.append((name, field))
    parts.append(f"## runs\n\n{(RunOverride.__doc__ or '').strip()}\n\n{_table(RunOverride)}")
    parts.append("## Top level\n\n" + _rows([(name, field) for name, field in top]))
    return "\n".join(parts)


def _table(section: type[Section]) -> str:
    rows = []
    for name, field in section.model_fields.items():
        name = field.alias or name
        inner = section_of(field)
        rows += [(f"{name}.{key}", value) for key, value in inner.model_fields.items()] if inner else [(name, field)]
    return _rows(rows)


def _rows(fields: list[tuple[str, FieldInfo]]) -> str:
    lines = ["| key | default | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {_default(field)} | {field.description} |" for name, field in fields]
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "**required**"
    if field.default is None:
        return "–"  # noqa: RUF001 (a dash, for the reader)
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


if __name__ == "__main__":
    print(reference(), end="")
