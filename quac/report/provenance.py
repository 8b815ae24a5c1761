"""The results that a report is made of, and what made them."""

from quac.system.errors import QuacError
from quac.system.files import digest_of, read_json
from quac.system.tables import read_table


def attributes(path):
    """What stands beside the rows of a table."""
    return read_table(path, columns=[]).attrs


def records_of(inputs, scored, conversions, checks, classifier_check, markers, selected, styles):
    """(what of, the record of what made it) for each result, in the order of the chain."""
    results = [
        *((index["split"], index) for index in map(attributes, inputs["indexes"])),
        ("", checks),
        *(("", read_json(path)) for path in inputs["classifier_fit"]),
        ("", classifier_check),
        *((f"up to step {marker['end']}", marker) for marker in markers),
        *((f"step {made['step']}, to choose", made) for made in scored),
        ("", selected),
        *((f"{split}, {kind}", made) for (split, kind), made in conversions.items()),
        (styles["split"], styles),
    ]
    return [(what, made["provenance"]) for what, made in results]


def stages_of(records, sessions):
    """What the report lists: of the training, the sessions in which it was done, also where it was only found again."""
    for what, record in records:
        if record["stage"] != "train":
            yield record | {"result": what}
        elif sessions:
            yield from (session | {"result": f"session {n}"} for n, session in enumerate(sessions, 1))
            sessions = []


def require_current(records, key_files, conversions, checkpoints):
    """Stop where a result was made from other settings than those of now, or of another checkpoint.

    That takes two changes at once, the first of which hides the second's
    reason to run again, and a kill in between (docs/what-runs-again.md).
    """
    current = {digest_of(read_json(path)) for path in key_files}
    stale = {record["stage"] for _, record in records if not current.issuperset(record["keys"])}
    for made in conversions:
        if made["checkpoint_digest"] != checkpoints[str(made["step"])]["sha256"]:
            stale.add(made["provenance"]["stage"])
    if stale:
        raise QuacError(
            f"results of {', '.join(sorted(stale))} were made from other settings than those of now; "
            "run the same command again: they will be made anew"
        )
