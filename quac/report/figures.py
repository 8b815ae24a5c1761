"""The report's charts, as inline SVG. What is black in them takes the page's colour, so they do for dark pages too."""

import io
from contextlib import contextmanager

import matplotlib
import numpy as np
from markupsafe import Markup, escape

from quac.config.evaluation import KINDS
from quac.evaluation.metrics import RATES

matplotlib.use("svg")
import matplotlib.pyplot as plt

# Okabe and Ito's colours: told apart by colour-blind readers as well.
COLOURS = {
    "latent": "#0072B2",
    "reference": "#D55E00",
    "adv": "#0072B2",
    "sty": "#009E73",
    "cyc": "#D55E00",
    "ds": "#CC79A7",
    "id": "#E69F00",
    "cls": "#56B4E9",
    "real": "#0072B2",
    "fake": "#D55E00",
    "reg": "#009E73",
}
STYLES = {"latent": "-", "ref": "--", "": ":"}  # "": terms that are not of a kind, of the merged schedule
INK = "#010203"  # stands for the page's colour of text
SETTINGS = {
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
MOST_POINTS = 400  # of a line; a longer one shows means of neighbours
SMOOTHED = 15  # points that a smoothed one is the mean of
TITLES = {**{rate: rate.replace("_", " ").capitalize() for rate in RATES}, "l1": "L1 distance to the query"}


def loss_curves(history):
    """Losses over steps: discriminator and generator, both kinds. `history` is a dict of columns.

    Each line is there twice, with the ids `plain-…` and `smooth-…`, for the page to choose from.
    """
    charts = []
    for prefix, title in {"D/": "Discriminator", "G/": "Generator"}.items():
        with chart(charts, f"Losses, {title.lower()}", "step") as axis:
            for name in [name for name in history if name.startswith(prefix)]:
                kind, _, term = name[len(prefix) :].rpartition("_")
                steps, values = known(history, name)
                look = {"ls": STYLES[kind], "color": COLOURS[term], "lw": 1.2}
                axis.plot(steps, values, **look, label=f"{kind} {term}".strip(), gid=f"plain-{name}")
                axis.plot(steps, smooth(values), **look, gid=f"smooth-{name}")
            axis.legend(fontsize=7, ncols=3, frameon=False)
    return Markup().join(charts)


def speed(history):
    """Images per second, and the share of the time in which the networks waited for images."""
    charts = []
    for name, title in {"images_per_second": "Images per second", "waiting_share": "Share of the time waiting"}.items():
        with chart(charts, title, "step", height=2.2) as axis:
            axis.plot(*known(history, name), color=COLOURS["latent"], lw=1.2)
            axis.set_ylim(bottom=0)
    return Markup().join(charts)


def looks(history):
    """What was evaluated within the training, both kinds; nothing where there was no look. `history` as above."""
    charts = []
    for metric, title in TITLES.items():
        kinds = [kind for kind in KINDS if f"{metric}_{kind}" in history]
        if not kinds:
            continue
        with chart(charts, f"{title}, while it trained", "step", height=2.2) as axis:
            for kind in kinds:
                steps, values = known(history, f"{metric}_{kind}")
                axis.plot(steps, values, "o-", color=COLOURS[kind], ms=2.5, lw=1.2, label=kind)
            axis.set_ylim((-0.02, 1.02) if metric in RATES else (0, None))
            axis.legend(fontsize=8, frameon=False, loc="lower right")
    return Markup().join(charts)


def rates_over_checkpoints(scores, chosen):
    """Average rates, with intervals, and distance to the query of each checkpoint, both kinds.

    `scores` is a list of rows, `chosen` a step.
    """
    charts = []
    for metric, title in TITLES.items():
        with chart(charts, title, "step") as axis:
            for kind in KINDS:
                rows = [row for row in scores if row["kind"] == kind]
                steps = [row["step"] for row in rows]
                axis.plot(steps, [row[metric] for row in rows], "o-", color=COLOURS[kind], ms=3.5, lw=1.2, label=kind)
                if metric in RATES:
                    low, high = ([row[f"{metric}_{end}"] for row in rows] for end in ("low", "high"))
                    axis.fill_between(steps, low, high, color=COLOURS[kind], alpha=0.2, lw=0)
            axis.axvline(chosen, color=INK, ls=":", lw=1.2, label=f"selected: {chosen}")
            axis.set_ylim((-0.02, 1.02) if metric in RATES else (0, None))
            axis.legend(fontsize=8, frameon=False, loc="lower right")
    return Markup().join(charts)


def calibration(rows):
    """Accuracy over confidence, see `quac.classifier.accuracy.calibration`."""
    sizes, charts = np.array([row["images"] for row in rows], float), []
    with chart(charts, "Calibration", "confidence") as axis:
        axis.plot([0, 1], [0, 1], ":", color=INK, lw=1.2)
        confidence, accuracy = ([row[name] for row in rows] for name in ("confidence", "accuracy"))
        axis.scatter(confidence, accuracy, 15 + 250 * sizes / sizes.sum(), color=COLOURS["latent"], alpha=0.75)
        axis.set(ylabel="accuracy", xlim=(0, 1.05), ylim=(-0.05, 1.05))
    return charts[0]


def fit_curves(fit):
    """Losses and accuracy over the epochs of the classifier's own training."""
    columns = {
        "Cross-entropy": {"training": "train_loss", "validation": "validation_loss"},
        "Accuracy": {"validation": "validation_accuracy"},
    }
    looks = {"training": {"color": COLOURS["latent"]}, "validation": {"color": COLOURS["reference"], "ls": "--"}}
    charts, epochs = [], [row["epoch"] for row in fit["epochs"]]
    for title, lines in columns.items():
        with chart(charts, title, "epoch", height=2.4) as axis:
            for name, column in lines.items():
                axis.plot(epochs, [row[column] for row in fit["epochs"]], **looks[name], lw=1.2, label=name)
            axis.axvline(fit["chosen_epoch"], color=INK, ls=":", lw=1.2, label="chosen")
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.set_ylim(bottom=0)
            axis.legend(fontsize=8, frameon=False)
    return Markup().join(charts)


def known(history, name):
    """(steps, values) of a column where it has any: a term may begin late, or be taken now and then."""
    steps, values = np.array(history["step"], float), np.array(history[name], float)
    steps, values = steps[np.isfinite(values)], values[np.isfinite(values)]
    width = -(-len(values) // MOST_POINTS)
    if width < 2:
        return steps, values
    starts = np.arange(0, len(values), width)
    counts = np.diff([*starts, len(values)])
    return np.add.reduceat(steps, starts) / counts, np.add.reduceat(values, starts) / counts


def smooth(values):
    """Means of SMOOTHED neighbours, of fewer at the ends."""
    reach = SMOOTHED // 2
    sums = np.cumsum([0.0, *values])
    low = np.maximum(np.arange(len(values)) - reach, 0)
    high = np.minimum(np.arange(len(values)) + reach + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)


@contextmanager
def chart(charts, title, label, height=3.0):
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
