"""What a reader has to know before trusting the numbers."""

from collections.abc import Iterator
from itertools import product

from quac.config.training import Loss
from quac.evaluation.metrics import METRICS, RATES
from quac.report.claims import LEAK_CHECKS, MIN_QUERIES, ignored_checks
from quac.report.formats import percent
from quac.report.schema import Report, ReportWarning

MIN_GROUPS = 5  # of a class, if its queries have groups
MAX_CALIBRATION_ERROR = 0.1
MAX_DISAGREEMENT = 0.1  # of the rates by classifier and oracle
# Diversity, relative to the distance to the query: 0 if the style has no effect. Real images of the target class in the
# place of the tries would have about 0.9 in the digits. Below a half, most of the change is the same in every try.
MIN_DIVERSITY = 0.5


def find_warnings(report: Report) -> Iterator[ReportWarning]:
    """Warnings about a report, with the section that each links to."""
    for section, functions in WARNINGS.items():
        for function in functions:
            yield from (ReportWarning(section=section, text=text) for text in function(report))


def _of_split(report: Report) -> Iterator[str]:
    if report.shown_split == report.selection.split:
        chosen = "the checkpoint and the classifier's epoch" if report.classifier.fit else "the checkpoint"
        yield (
            f"There is no test split: the numbers are of the validation split, which also chose {chosen}, "
            "so they are somewhat too high. Give test_data."
        )


def _of_judge(report: Report) -> Iterator[str]:
    if Loss(**report.config["loss"]).is_used("cls"):
        yield (
            "The classifier that judges was part of the training loss (loss.lambda_cls): the networks learned to "
            "please it, so the rates mean less than those of a classifier that took no part in training."
        )
    check, least = report.accuracy, report.config["validation_config"]["min_accuracy"]
    name, accuracy = check.worst
    if accuracy < least:
        yield (
            f"The classifier is right on {percent(accuracy)} % of the real {report.shown_split} images of {name}, "
            f"below validation_config.min_accuracy ({percent(least)} %)."
        )
    if report.classifier.one_vs_rest:
        yield (
            "The classifier's outputs seem to be those of a sigmoid per class, but are read as logits: its decisions "
            "are right, its probabilities are not. Set validation_config.outputs to probabilities."
        )
    # The error is biased upwards on small splits: a calibrated classifier exceeds the limit in 5 % of them.
    if check.calibration_error > max(MAX_CALIBRATION_ERROR, check.calibration_limit or 0):
        yield (
            f"The classifier's probabilities are {percent(check.calibration_error)} % off its accuracy, on average "
            f"(expected calibration error on {report.shown_split}): trust the rates more than the probabilities."
        )


def _of_oracles(report: Report) -> Iterator[str]:
    if not report.classifier.oracles:
        yield (
            "There is no oracle (oracles: none): nothing shows whether the generated images are converted or only fool "
            "the classifier."
        )
    least = report.config["validation_config"]["min_accuracy"]
    for name, oracle in report.classifier.oracles.items():
        worst, accuracy = oracle.splits[report.shown_split].worst
        if accuracy < least:
            yield (
                f"{name} is right on {percent(accuracy)} % of the real {report.shown_split} images of {worst}, below "
                f"validation_config.min_accuracy ({percent(least)} %): its rates mean little."
            )


def _of_disagreement(report: Report) -> Iterator[str]:
    shown = [matrix for matrix in report.matrices if matrix.split == report.shown_split]
    for matrix, oracle, metric in product(shown, report.classifier.oracles, RATES):
        first, further = (matrix.averages.number(name) for name in (metric, f"{metric}_by_{oracle}"))
        if first is not None and further is not None and abs(first - further) > MAX_DISAGREEMENT:
            yield (
                f"Classifier and {oracle} disagree, {matrix.kind} styles: the average {METRICS[metric].label.lower()} "
                f"is {percent(first)} % by the classifier and {percent(further)} % by {oracle}."
            )


def _of_queries(report: Report) -> Iterator[str]:
    cells = (cell for matrix in report.matrices if matrix.split == report.shown_split for cell in matrix.cells)
    if few := {cell.source: cell.scored for cell in cells if cell.scored < MIN_QUERIES}:
        counted = ", ".join(f"{name} {count}" for name, count in few.items())
        yield f"Fewer than {MIN_QUERIES} {report.shown_split} queries of: {counted}. Mind the intervals."
    masked, queries = report.masks.queries[report.shown_split] if report.masks else (0, 0)
    if masked < queries:
        yield (
            f"{queries - masked} of {queries} {report.shown_split} queries have no mask: they were converted as a "
            "whole."
        )


def _of_groups(report: Report) -> Iterator[str]:
    cells = (cell for matrix in report.matrices if matrix.split == report.shown_split for cell in matrix.cells)
    counts = ((cell.source, cell.number("groups")) for cell in cells)
    if few := {name: count for name, count in counts if count is not None and count < MIN_GROUPS}:
        counted = ", ".join(f"{name} {count:.0f}" for name, count in few.items())
        yield (
            f"Fewer than {MIN_GROUPS} groups of {report.shown_split} queries of: {counted}. Intervals are over groups: "
            "those of so few groups, and those of averages over them, cannot be trusted."
        )


def _of_styles(report: Report) -> Iterator[str]:
    alike = []
    for matrix in (matrix for matrix in report.matrices if matrix.split == report.shown_split):
        diversity, l1 = matrix.averages.number("diversity"), matrix.averages.number("l1")
        if diversity is not None and l1 and diversity < MIN_DIVERSITY * l1:
            alike.append(f"{100 * diversity / l1:.0f} % ({matrix.kind} styles)")
    if alike:
        yield (
            "The style changes little: the tries of a query differ from each other by only "
            f"{' and '.join(alike)} of their distance to the query, so several tries say hardly more than one."
        )


def _of_findings(report: Report) -> Iterator[str]:
    for finding in report.data.findings:
        yield f"{finding.message}. Remedy: {finding.remedy}."


def _of_ignored_checks(report: Report) -> Iterator[str]:
    if off := [code for code in LEAK_CHECKS if code in ignored_checks(report)]:
        yield (
            f"Not checked (checks.severity: ignore): {', '.join(off)}. Images of the training may be among those that "
            "are judged, which makes the numbers too high."
        )


def _of_commits(report: Report) -> Iterator[str]:
    if len(report.commits) > 1:
        yield f"Stages were run by different versions of the program: {', '.join(report.commits)}."


# The warnings about what each section shows. docs/reference/report-claims.md lists them with their conditions.
WARNINGS = {
    "selection": (_of_split,),
    "classifier": (_of_judge, _of_oracles, _of_disagreement),
    "matrices": (_of_queries, _of_groups),
    "styles": (_of_styles,),
    "data": (_of_findings, _of_ignored_checks),
    "provenance": (_of_commits,),
}
