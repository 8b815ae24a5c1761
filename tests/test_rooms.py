"""The rooms of the house: imports run one way, and a file name means one thing."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

import quac

PACKAGE = Path(quac.__file__).parent
# What each room may import, besides itself.
MAY_IMPORT = {
    "system": set(),
    "config": {"system"},
    "data": {"system", "config"},
    "classifier": {"system", "config", "data"},
    "models": {"system", "config", "data"},
    "training": {"system", "config", "data", "classifier", "models"},
    "conversion": {"system", "config", "data", "classifier", "models"},
    "explanation": {"system", "config", "data", "classifier", "models", "conversion"},
    "evaluation": {"system", "config", "data", "classifier", "models", "conversion"},
    "report": {"system", "config", "data", "training", "conversion", "evaluation", "explanation"},
}
MAY_IMPORT["cli"] = set(MAY_IMPORT)
# The same noun in two rooms.
SAME_NOUN = {"base", "controls", "provenance", "scores", "style_grids"}
MODULES = [path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE]


def imported(path):
    """The rooms of quac that a file imports, at the top or inside of a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" if node.module == "quac" else node.module for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("quac."))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    room = path.relative_to(PACKAGE).parts[0]
    assert set(imported(path)) - {room} - MAY_IMPORT[room] == set()


def test_a_file_name_means_one_thing():
    rooms = defaultdict(set)
    for path in MODULES:
        room = path.relative_to(PACKAGE).parts[0]
        if path.stem != "__init__" and room not in ("cli", "config"):  # these are named by the rooms they are about
            rooms[path.stem].add(room)
    assert {name for name, found in rooms.items() if len(found) > 1} <= SAME_NOUN


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_can_be_read_on_a_few_screens(path):
    assert len(path.read_text().splitlines()) <= 350


def test_files_are_deleted_in_one_place():
    """`remove_own` knows what is ours; see `quac.system.files`."""
    deleting = {"unlink", "rmtree", "remove", "rmdir", "removedirs"}
    found = []
    for path in MODULES:
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        names = {call.attr for call in calls if isinstance(call, ast.Attribute)}
        if names & deleting and path.name != "files.py":
            found.append((path.name, names & deleting))
    # `StaleState.remove`, which calls it; and names that are tried out in an empty folder.
    assert sorted(found) == [("file_names.py", {"unlink"}), ("training.py", {"remove"})]
