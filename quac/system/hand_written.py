"""YAML and JSON that people write: what would be read as something else than it says is refused."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml

from quac.system.errors import QuacError, bullet_list

# YAML's aliases are read as copies of what they stand for: a text of a kilobyte can stand for gigabytes.
MOST_COPIES = 100_000
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _RepeatedKey(ValueError):
    pass


def read_hand_written(path: Path, names: Collection[str] = ()) -> Any:
    """The value of a YAML or JSON file; see `parse_hand_written`. Raises QuacError that names the file."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise QuacError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise QuacError(f"{path}: cannot be read ({str(error.strerror).lower()}). Check the path.") from None
    return parse_hand_written(text, str(path), names)


def parse_hand_written(text: str, place: str, names: Collection[str] = ()) -> Any:
    """The value of a YAML or JSON text. JSON is read quickly.

    Args:
        place: its file, for messages.
        names: keys whose values, or lists of values, are text.

    Raises QuacError if it is neither, or lists what would be read as something else: a key that is repeated (only the
    last would count), a number that begins with 0 (octal in YAML), a name that is read as a number or a date.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):  # YAML, or a repeated key, for which YAML knows the lines
        pass
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if faults := list(_faults(loader, node, frozenset(names), place)):
            raise QuacError(f"{place}: is not what it seems:\n{bullet_list(list(dict.fromkeys(faults)), 30)}")
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        kind = "JSON" if place.lower().endswith(".json") else "YAML"
        reason = " ".join(str(error).split()).replace('in "<unicode string>", ', "")
        raise QuacError(f"{place}: cannot be read as {kind} ({reason}); correct it") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise _RepeatedKey
    return found


def _faults(loader: Any, root: yaml.Node, names: frozenset[str], place: str) -> Iterator[str]:
    sizes: dict[int, int] = {}  # of nodes, with a copy of everything below them, by their ids; 0: not yet known

    def visit(node: yaml.Node, key: str) -> Iterator[str]:
        if id(node) in sizes:
            if not sizes[id(node)]:
                raise QuacError(f"{place}: line {_line(node)} contains itself; write it out")
            return
        sizes[id(node)] = 0
        below: list[yaml.Node] = []
        if isinstance(node, yaml.ScalarNode):
            if fault := _misread(loader, node, key in names):
                yield fault
        elif isinstance(node, yaml.SequenceNode):
            below = node.value
            for entry in below:
                yield from visit(entry, key)
        elif isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for name, value in node.value:
                below.append(value)
                if isinstance(name, yaml.ScalarNode):
                    if fault := _misread(loader, name, True):
                        yield fault
                    if name.value in lines and name.value != "<<":
                        both = f"lines {lines[name.value]} and {_line(name)}"
                        yield f"{both}: the key {name.value} is repeated; join the two"
                    lines.setdefault(name.value, _line(name))
                yield from visit(value, name.value if isinstance(name, yaml.ScalarNode) else "")
        sizes[id(node)] = 1 + sum(sizes[id(entry)] for entry in below)
        if sizes[id(node)] > MOST_COPIES + 10 * len(sizes):
            what = f"the aliases below line {_line(node)} stand for more than {MOST_COPIES} values"
            raise QuacError(f"{place}: {what}; write out what is meant")

    yield from visit(root, "")


def _misread(loader: Any, node: yaml.ScalarNode, is_name: bool) -> str | None:
    """Why an unquoted number, or a name, is read as another than it says; None if it is not."""
    kind, text = node.tag.rsplit(":", 1)[-1], node.value
    if node.style or kind not in ("int", "float", "bool", "timestamp"):
        return None
    value = loader.construct_object(node)
    digits = text.lstrip("+-")
    octal = kind in ("int", "float") and digits[:1] == "0" and digits[1:2].isdigit()
    if octal or (kind in ("int", "float") and ":" in text) or (is_name and str(value) != text):
        remedy = f'put it in quotes ("{text}") if it is a name' + (", or leave out the 0" if octal else "")
        return f"line {_line(node)}: {text} would be read as {value}; {remedy}"
    return None


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1
