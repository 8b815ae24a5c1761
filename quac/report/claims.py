"""What a report claims of its data and numbers, beyond the numbers: only what was computed."""

from quac.config.choices import SEVERITIES
from quac.evaluation.metrics import IDENTIFICATION_QUERIES
from quac.report.schema import Matrix, Number, Report

MIN_QUERIES = 10  # of a class pair
LEAK_CHECKS = ("identical-across-splits", "near-duplicate-across-splits", "group-across-splits")


def ignored_checks(report: Report) -> list[str]:
    """The codes of the data checks that the config switched off."""
    severities = report.config.get("checks", {}).get("severity", {})
    return [code for code in SEVERITIES if severities.get(code) == "ignore"]


def checked(report: Report) -> list[str]:
    """The codes of the data checks that ran."""
    off = ignored_checks(report)
    return [code for code in SEVERITIES if code not in off]


def groups_text(report: Report) -> str:
    """How many groups the images have, as a text."""
    counts = {split: images.groups for split, images in report.data.splits.items()}
    if any(count is None for count in counts.values()):
        return "not recorded"
    if not any(counts.values()):
        return "none given"
    return ", ".join(f"{split} {count}" for split, count in counts.items())


def sound_claims(report: Report) -> list[str]:
    """What a report without warnings can say of itself, as clauses. See `quac.report.warnings` for what would warn."""
    return [
        f"a {report.shown_split} split that chose nothing",
        f"no identical or near-identical images found in two splits; groups: {groups_text(report)}",
        f"at least {MIN_QUERIES} queries of each class",
        "one version of the program",
    ]


def identification_chance(matrix: Matrix) -> float:
    """The identification that images without any relation to their queries would have, on average."""
    queries = [cell.scored for cell in matrix.cells if cell.source != cell.target]
    return sum(1 / min(count, IDENTIFICATION_QUERIES) for count in queries) / len(queries)


def called_before(report: Report) -> Number:
    """Average share of the queries that the classifier calls the target before the conversion; None if not known.

    It is the same for all style kinds.
    """
    matrices = [matrix for matrix in report.matrices if matrix.split == report.shown_split]
    return matrices[0].averages.number("called_before") if matrices else None
