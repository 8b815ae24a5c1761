"""What a reader has to know before trusting the numbers."""

from quac.config.loss_weights import is_used
from quac.config.training import Loss
from quac.evaluation.metrics import RATES
from quac.report.formats import percent

FEW_QUERIES = 10  # of a class pair
WEAK_CALIBRATION = 0.1
APART = 0.1  # rates by two judges


def find_warnings(facts):
    """Warnings about the facts of a report: dicts of `text` and `section`, its link."""
    return [
        {"section": section, "text": text}
        for section, texts in {
            "selection": _of_split(facts),
            "classifier": _of_judges(facts),
            "matrices": [*_of_counts(facts), *_of_masks(facts)],
            "data": [f"{finding['message']}. Remedy: {finding['remedy']}." for finding in facts["data"]["findings"]],
            "provenance": _of_commits(facts),
        }.items()
        for text in texts
    ]


def _of_split(facts):
    if facts["shown_split"] == facts["selection"]["split"]:
        yield (
            "There is no test split: the numbers are of the validation split, which also chose the checkpoint, "
            "so they are somewhat too high. Give test_data."
        )


def _of_judges(facts):
    if is_used(Loss(**facts["config"]["loss"]), "cls"):
        yield (
            "The classifier that judges was trained on: the networks learned to please it (loss.lambda_cls), so the "
            "rates say less than those of a classifier that they never met."
        )
    check, least = (
        facts["classifier"]["splits"][facts["shown_split"]],
        facts["config"]["validation_config"]["min_accuracy"],
    )
    if check["accuracy"] < least:
        yield (
            f"The classifier is right on {percent(check['accuracy'])} % of the real {facts['shown_split']} images, "
            f"below validation_config.min_accuracy ({percent(least)} %)."
        )
    if check["calibration_error"] > WEAK_CALIBRATION:
        yield (
            f"The classifier's probabilities are {percent(check['calibration_error'])} % off its accuracy, on average "
            f"(expected calibration error on {facts['shown_split']}): trust the rates more than the probabilities."
        )
    for matrix in facts["matrices"]:
        for name in facts["classifier"]["judges"] if matrix["split"] == facts["shown_split"] else ():
            for metric in RATES:
                one, other = matrix["averages"][metric], matrix["averages"][f"{metric}_by_{name}"]
                if abs(one - other) > APART:
                    yield (
                        f"The judges disagree, {matrix['kind']} styles: the average {metric.replace('_', ' ')} is "
                        f"{percent(one)} % by the first and {percent(other)} % by {name}."
                    )


def _of_counts(facts):
    few = {
        cell["source"]: cell["scored"]
        for matrix in facts["matrices"]
        for cell in matrix["cells"]
        if matrix["split"] == facts["shown_split"] and cell["scored"] < FEW_QUERIES
    }
    if few:
        counted = ", ".join(f"{name} {count}" for name, count in few.items())
        yield f"Fewer than {FEW_QUERIES} {facts['shown_split']} queries of: {counted}. Look at the intervals."


def _of_masks(facts):
    masked, found = facts["masks"]["queries"][facts["shown_split"]] if facts["masks"] else (0, 0)
    if masked < found:
        yield f"{found - masked} of {found} {facts['shown_split']} queries have no mask: they were converted whole."


def _of_commits(facts):
    commits = sorted({stage["commit"] or "unknown" for stage in facts["stages"]})
    if len(commits) > 1:
        yield f"Stages were run by different versions of the program: {', '.join(commits)}."
