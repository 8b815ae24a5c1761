"""What pydantic finds wrong with a config, as sentences that name the key and the remedy."""

import difflib
import re
from typing import Any

from pydantic import ValidationError

from quac.config import known_keys

# Keys of version 1, and what to do about them.
REMOVED = {
    "run.segment_iters": "removed; training is one job, whatever its length. Delete the key.",
    "solver.schedule": "removed; training always uses the updates of the paper. Delete the key.",
    "judges": "renamed; call it oracles. It has the same entries.",
    "solver.channels_last": "removed; training always uses this memory layout. Delete the key.",
}
_ALTERNATIVE = re.compile(r"(function-|literal|dict|list)\[|(float|str|Oracle|\[key\])$")


def _is_of_another_type(error: Any) -> bool:
    """Whether a value that may have several types has another type than the one that this error is about."""
    kind, given = str(error["loc"][-1]), error["input"]
    if kind in ("str", "literal['auto','none']"):
        return isinstance(given, dict)
    return kind == "list[float]" and not isinstance(given, list)


def faults_of(error: ValidationError) -> list[str]:
    """Each fault once."""
    return list(dict.fromkeys(_explain(e) for e in error.errors() if not _is_of_another_type(e)))


def _explain(error: Any) -> str:
    """One of pydantic's errors as a sentence, with the nearest known name for an unknown key."""
    # pydantic adds which alternative of a type it is about.
    location = [part for part in error["loc"] if not _ALTERNATIVE.match(str(part))]
    name = ".".join(str(part) for part in location)
    if error["type"] == "extra_forbidden":
        return f"{name}: {REMOVED[name]}" if name in REMOVED else f"{name}: unknown key{_nearest(location)}"
    if error["type"] == "missing":
        return f"{name}: missing; it has no default"
    if location == ["oracles"]:
        return "oracles: must be auto, none, or {name: file or section}" + _shown(error["input"])
    if location == ["data", "sampling"]:
        return "data.sampling: must be balanced, natural, or {class: weight}" + _shown(error["input"])
    return f"{name}: {error['msg'][0].lower()}{error['msg'][1:]}{_shown(error['input'])}"


def _shown(given: Any) -> str:
    return f" (given: {given!r})" if isinstance(given, str | int | float | bool | type(None)) else ""


def _nearest(location: list[Any]) -> str:
    known = [*known_keys(), "runs"]
    wrong = ".".join(str(part) for part in location)
    if wrong.count("."):
        section = wrong.rsplit(".", 1)[0]
        siblings = [name for name in known if name.rsplit(".", 1)[0] == section]
        if match := difflib.get_close_matches(wrong, siblings, n=1, cutoff=0.8):
            return f"; did you mean {match[0]}?"
    last = str(location[-1])
    if elsewhere := [name for name in known if name.split(".")[-1] == last]:
        return f"; did you mean {elsewhere[0]}?"
    names = {name.split(".")[-1]: name for name in reversed(known)}
    match = difflib.get_close_matches(last, names, n=1, cutoff=0.6)
    return f"; did you mean {names[match[0]]}?" if match else ""
