"""The report's charts, as inline SVG."""

import io

import matplotlib
import numpy as np
from markupsafe import Markup

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
SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "quac",  # the same chart is the same text
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
}


def loss_curves(history):
    """Losses over steps: discriminator and generator, both kinds. `history` is a dict of columns."""
    panels = {"D/": "Discriminator", "G/": "Generator"}
    with plt.rc_context(SETTINGS):
        figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
        for axis, (prefix, title) in zip(axes, panels.items(), strict=True):
            for name in [name for name in history if name.startswith(prefix)]:
                kind, _, term = name[len(prefix) :].rpartition("_")
                values = np.array(history[name], float)
                known = np.isfinite(values)  # a term may begin late, or be taken now and then
                axis.plot(
                    np.array(history["step"])[known],
                    values[known],
                    STYLES[kind],
                    color=COLOURS[term],
                    lw=1.2,
                    label=f"{kind} {term}".strip(),
                )
            axis.set(title=title, xlabel="step")
            axis.legend(fontsize=7, ncols=2, frameon=False)
        return _svg(figure)


def rates_over_checkpoints(scores, chosen):
    """Average rates of each checkpoint, both kinds, with intervals; `scores` is a list of rows, `chosen` a step."""
    panels = {"translation_rate": "Translation rate", "conversion_rate": "Conversion rate"}
    with plt.rc_context(SETTINGS):
        figure, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
        for axis, (metric, title) in zip(axes, panels.items(), strict=True):
            for kind in ("latent", "reference"):
                rows = [row for row in scores if row["kind"] == kind]
                steps = [row["step"] for row in rows]
                axis.plot(steps, [row[metric] for row in rows], "o-", color=COLOURS[kind], ms=3.5, lw=1.2, label=kind)
                low, high = ([row[f"{metric}_{end}"] for row in rows] for end in ("low", "high"))
                axis.fill_between(steps, low, high, color=COLOURS[kind], alpha=0.15, lw=0)
            axis.axvline(chosen, color="#555555", ls=":", lw=1.2, label=f"selected: {chosen}")
            axis.set(title=title, xlabel="step", ylim=(-0.02, 1.02))
            axis.legend(fontsize=8, frameon=False, loc="lower right")
        return _svg(figure)


def _svg(figure):
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")), transparent=True)
    plt.close(figure)
    svg = text.getvalue()
    return Markup(svg[svg.index("<svg") :])  # noqa: S704 (matplotlib escapes the texts that it draws)
