"""The report's charts, as inline SVG. What is black in them takes the page's text colour, also on dark pages."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup, escape

from quac.config.choices import STYLE_KINDS
from quac.config.training import Loss
from quac.evaluation.metrics import METRICS, RATES
from quac.report.explanation_parts import MethodScores
from quac.report.schema import Fit, Number, Report, Score

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's colours, which colour-blind readers can tell apart, and two of Tol's.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#999933")
# The terms of each network's loss, in the order of their colours; an unknown term takes the next one.
TERMS = {"D": ("real", "fake", "reg"), "G": ("adv", *(term for term in Loss.TERMS if term != "reg"))}
NETWORKS = {"D": "Discriminator", "G": "Generator"}
LINE_STYLES = ("-", "--", ":", "-.")  # of the style kinds
# Of the lines of runs that are compared; the next six runs have the same colours, dashed.
RUN_COLOURS, RUN_DASHES = PALETTE[:6], ((), (5, 2), (1.5, 1.5), (6, 2, 1.5, 2))
OVER_STEPS = (*RATES, "l1")  # metrics that are drawn over the training steps
INK = "#010203"  # stands for the page's text colour
SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "quac",  # the same chart is the same text
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.15,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "grid.color"), INK),
    **dict.fromkeys(("xtick.color", "ytick.color"), INK),
}
MAX_POINTS = 400  # of a line; a longer one shows means of neighbours
SMOOTHED = 15  # points that a smoothed one is the mean of

History = dict[str, list[Number]]  # columns


def loss_curves(history: History) -> Markup:
    """Losses over the steps, a chart for each network. The style kinds differ by their line style.

    Each line is there twice, with the ids `plain-<column>` and `smooth-<column>`, for the page to choose from.
    """
    charts: list[Markup] = []
    for network, title in NETWORKS.items():
        names = {name: term_of(name) for name in history if name.startswith(f"{network}/")}
        colours = term_colours(network, [term for _, term in names.values()])
        with chart(charts, f"Losses, {title.lower()}", "step") as axis:
            for name, (kind, term) in names.items():
                steps, values = finite(history, name)
                line: dict[str, Any] = {"ls": _by_kind(LINE_STYLES, kind), "color": colours[term], "lw": 1.2}
                axis.plot(steps, values, **line, label=f"{kind} {term}".strip(), gid=f"plain-{name}")
                axis.plot(steps, smooth(values), **line, gid=f"smooth-{name}")
            if names:
                axis.legend(fontsize=7, ncols=3, frameon=False)
    return Markup().join(charts)


def term_of(name: str) -> tuple[str, str]:
    """(style kind, term) of a column such as `G/latent_adv`; the kind is "" if the name has none."""
    kind, _, term = name.partition("/")[2].partition("_")
    return (kind, term) if term else ("", kind)


def term_colours(network: str, terms: list[str]) -> dict[str, str]:
    """{term: colour} of a network's terms, those of TERMS first."""
    order = dict.fromkeys((*TERMS[network], *terms))
    return {term: PALETTE[number % len(PALETTE)] for number, term in enumerate(order)}


def _by_kind(choices: tuple[str, ...], kind: str) -> str:
    """What a style kind has of PALETTE or LINE_STYLES; an unknown one has the last."""
    return choices[STYLE_KINDS.index(kind)] if kind in STYLE_KINDS else choices[-1]


def speed(history: History) -> Markup:
    """Images per second, and the share of the time in which the networks waited for images."""
    charts: list[Markup] = []
    for name, title in {"images_per_second": "Images per second", "waiting_share": "Share of the time waiting"}.items():
        if name in history:
            with chart(charts, title, "step", height=2.2) as axis:
                axis.plot(*finite(history, name), color=PALETTE[0], lw=1.2)
                axis.set_ylim(bottom=0)
    return Markup().join(charts)


def evaluation_curves(history: History, kinds: list[str]) -> Markup:
    """The evaluations in training, all style kinds; empty if there was none."""
    charts: list[Markup] = []
    for metric in OVER_STEPS:
        if evaluated := [kind for kind in kinds if f"{metric}_{kind}" in history]:
            with chart(charts, f"{METRICS[metric].label}, during training", "step", height=2.2) as axis:
                for kind in evaluated:
                    colour, line = _by_kind(PALETTE, kind), finite(history, f"{metric}_{kind}")
                    axis.plot(*line, "o-", color=colour, ms=2.5, lw=1.2, label=kind)
                axis.set_ylim(*limits(metric))
                axis.legend(fontsize=8, frameon=False, loc="lower right")
    return Markup().join(charts)


def scores_over_checkpoints(scores: list[Score], chosen: int) -> Markup:
    """Average metrics of each checkpoint, rates with their intervals, all style kinds; `chosen` is a step."""
    charts: list[Markup] = []
    for metric in OVER_STEPS:
        with chart(charts, METRICS[metric].label, "step") as axis:
            for kind in dict.fromkeys(score.kind for score in scores):
                rows = [score for score in scores if score.kind == kind]
                steps, colour = [row.step for row in rows], _by_kind(PALETTE, kind)
                axis.plot(steps, column(rows, metric), "o-", color=colour, ms=3.5, lw=1.2, label=kind)
                if metric in RATES:
                    low, high = (column(rows, f"{metric}_{end}") for end in ("low", "high"))
                    axis.fill_between(steps, low, high, color=colour, alpha=0.2, lw=0)
            axis.axvline(chosen, color=INK, ls=":", lw=1.2, label=f"selected: {chosen}")
            axis.set_ylim(*limits(metric))
            axis.legend(fontsize=8, frameon=False, loc="lower right")
    return Markup().join(charts)


def column(scores: list[Score], name: str) -> np.ndarray:
    """The numbers of a name, NaN where there is none."""
    return np.array([score.number(name) for score in scores], float)


def limits(metric: str) -> tuple[float | None, float | None]:
    """Of the axis of a metric over the steps."""
    return (-0.02, 1.02) if metric in RATES else (0, None)


def calibration(rows: list[dict[str, Number]]) -> Markup:
    """Accuracy over confidence, see `quac.classifier.accuracy.calibration`."""
    charts: list[Markup] = []
    sizes, x, y = (np.array([row[name] for row in rows], float) for name in ("images", "confidence", "accuracy"))
    with chart(charts, "Calibration", "confidence") as axis:
        axis.plot([0, 1], [0, 1], ":", color=INK, lw=1.2)
        axis.scatter(x, y, 15 + 250 * sizes / sizes.sum(), color=PALETTE[0], alpha=0.75)
        axis.set(ylabel="accuracy", xlim=(0, 1.05), ylim=(-0.05, 1.05))
    return charts[0]


def fit_curves(fit: Fit) -> Markup:
    """Losses and accuracy over the epochs of the classifier's own training."""
    charts: list[Markup] = []
    training, validation = (PALETTE[0], "-", "training"), (PALETTE[1], "--", "validation")
    titles = {
        "Cross-entropy": {"train_loss": training, "validation_loss": validation},
        "Accuracy": {"validation_accuracy": validation},
    }
    for title, lines in titles.items():
        with chart(charts, title, "epoch", height=2.4) as axis:
            for name, (colour, style, label) in lines.items():
                epochs, values = (np.array([row[key] for row in fit.epochs], float) for key in ("epoch", name))
                axis.plot(epochs, values, color=colour, ls=style, lw=1.2, label=label)
            axis.axvline(fit.chosen_epoch, color=INK, ls=":", lw=1.2, label="chosen")
            axis.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True))
            axis.set_ylim(bottom=0)
            axis.legend(fontsize=8, frameon=False)
    return Markup().join(charts)


def quac_curves(methods: list[MethodScores], noise: Sequence[MethodScores] = ()) -> Markup:
    """Change of the target's probability over the mask size, median and quartiles; a chart for each style kind.

    `noise` in place of conversions is dashed.
    """
    charts: list[Markup] = []
    for kind in dict.fromkeys(scores.kind for scores in methods):
        with chart(charts, f"What a mask of a size changes, {kind} styles", "mask size") as axis:
            for number, scores in enumerate(row for row in methods if row.kind == kind):
                x = np.linspace(0, 1, len(scores.curve))
                low, middle, high = (np.array(c, float) for c in (scores.curve_low, scores.curve, scores.curve_high))
                colour = PALETTE[number % len(PALETTE)]
                axis.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
                axis.plot(x, middle, color=colour, lw=1.4, label=scores.method)
            for scores in (row for row in noise if row.kind == kind):
                x = np.linspace(0, 1, len(scores.curve))
                axis.plot(x, np.array(scores.curve, float), "--", color="0.4", lw=1.2, label="noise (control)")
            axis.set(ylabel="change of P(target)", xlim=(0, 1))
            axis.legend(fontsize=8, frameon=False, loc="lower right")
    return Markup().join(charts)


def line_style(number: int) -> tuple[str, tuple[float, ...]]:
    """`(colour, dashes)` of the lines of a run that is compared; dashes in widths of the line, `()` if it is solid."""
    return RUN_COLOURS[number % len(RUN_COLOURS)], RUN_DASHES[number // len(RUN_COLOURS) % len(RUN_DASHES)]


def run_scores(runs: list[Report], kinds: list[str]) -> Markup:
    """Average metrics of several runs over the checkpoints, a chart for each metric and style kind."""
    charts: list[Markup] = []
    for metric in OVER_STEPS:
        for kind in kinds:
            with chart(charts, f"{METRICS[metric].label}, {kind} styles", "step") as axis:
                for number, run in enumerate(runs):
                    rows = [row for row in run.selection.scores if row.kind == kind]
                    steps = [row.step for row in rows]
                    chosen = [place for place, step in enumerate(steps) if step == run.selection.step]
                    _draw_run(axis, number, steps, column(rows, metric), marker="o", ms=3, markevery=chosen or None)
                axis.set_ylim(*limits(metric))
    return Markup().join(charts)


def run_losses(runs: list[Report]) -> Markup:
    """Losses of several runs over the steps, smoothed, a chart for each term that some run has."""
    charts: list[Markup] = []
    names = dict.fromkeys(name for run in runs for name in run.training.history)
    for network, network_title in NETWORKS.items():
        for name in (name for name in names if name.startswith(f"{network}/")):
            with chart(charts, f"{network_title}: {name[2:].replace('_', ' ')}", "step", height=2.4) as axis:
                for number, run in enumerate(runs):
                    if name in run.training.history:
                        steps, values = finite(run.training.history, name)
                        _draw_run(axis, number, steps, smooth(values))
    return Markup().join(charts)


def _draw_run(axis: Axes, number: int, steps: list[int] | np.ndarray, values: np.ndarray, **options: Any) -> None:
    """Draw a run's line, with the id by which the page finds it."""
    colour, dashes = line_style(number)
    gid = f"{axis.get_title()}-run-{number}".replace(" ", "-")
    axis.plot(steps, values, color=colour, ls=(0, dashes) if dashes else "-", lw=1.3, **options, gid=gid)


def finite(history: History, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(steps, values) of a column where it has any: a term may begin late, or be computed only now and then."""
    steps, values = np.array(history["step"], float), np.array(history[name], float)
    steps, values = steps[np.isfinite(values)], values[np.isfinite(values)]
    width = -(-len(values) // MAX_POINTS)
    if width < 2:
        return steps, values
    starts = np.arange(0, len(values), width)
    counts = np.diff([*starts, len(values)])
    return np.add.reduceat(steps, starts) / counts, np.add.reduceat(values, starts) / counts


def smooth(values: np.ndarray) -> np.ndarray:
    """Means of SMOOTHED neighbours, of fewer at the ends."""
    reach = SMOOTHED // 2
    sums = np.cumsum([0.0, *values])
    low = np.maximum(np.arange(len(values)) - reach, 0)
    high = np.minimum(np.arange(len(values)) + reach + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)


@contextmanager
def chart(charts: list[Markup], title: str, label: str, height: float = 3.0) -> Iterator[Axes]:
    """A context: its axis becomes a chart, added to `charts` as inline SVG."""
    with plt.rc_context(SETTINGS):
        figure, axis = plt.subplots(figsize=(5, height), layout="constrained")
        axis.set(title=title, xlabel=label)
        yield axis
        text = io.StringIO()
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(text, format="svg", metadata=metadata, transparent=True)
        plt.close(figure)
    svg = text.getvalue().replace(INK, "currentColor")
    opening = f'<svg role="img" aria-label="{escape(title)}"'
    # matplotlib escapes the texts that it draws
    charts.append(Markup(opening + svg[svg.index("<svg") + len("<svg") :]))  # noqa: S704
