"""Learning curves of several runs in one chart, as inline SVG."""

from markupsafe import Markup

from quac.config.evaluation import KINDS
from quac.evaluation.metrics import RATES
from quac.report.figures import chart, known, smooth

# Okabe and Ito's colours; the next six runs have the same ones, dashed.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_DASHES = ((), (5, 2), (1.5, 1.5), (6, 2, 1.5, 2))


def look_of(number):
    """`(colour, dashes)` of a run's lines; dashes in widths of the line, `()` where it is solid."""
    return _COLOURS[number % len(_COLOURS)], _DASHES[number // len(_COLOURS) % len(_DASHES)]


def scores_of_runs(runs):
    """Average rates and distance to the query over the checkpoints, a chart for each number and kind."""
    charts = []
    for metric in (*RATES, "l1"):
        for kind in KINDS:
            name = "L1 distance to the query" if metric == "l1" else metric.replace("_", " ").capitalize()
            with chart(charts, f"{name}, {kind} styles", "step") as axis:
                for number, run in enumerate(runs):
                    rows = [row for row in run.scores if row["kind"] == kind]
                    steps, values = [row["step"] for row in rows], [row[metric] for row in rows]
                    chosen = [place for place, step in enumerate(steps) if step == run.step]
                    _draw(axis, charts, number, steps, values, marker="o", ms=3, markevery=chosen or None)
                axis.set_ylim((-0.02, 1.02) if metric in RATES else (0, None))
    return Markup().join(charts)


def losses_of_runs(runs):
    """Losses over the steps, smoothed, a chart for each term that some run has."""
    charts, networks = [], {"D/": "Discriminator", "G/": "Generator"}
    names = dict.fromkeys(name for run in runs for name in run.history)
    for name in sorted((name for name in names if name[:2] in networks), key=lambda name: name[:2]):
        with chart(charts, f"{networks[name[:2]]}: {name[2:].replace('_', ' ')}", "step", height=2.4) as axis:
            for number, run in enumerate(runs):
                if name in run.history:
                    steps, values = known(run.history, name)
                    _draw(axis, charts, number, steps, smooth(values))
    return Markup().join(charts)


def _draw(axis, charts, number, steps, values, **options):
    """A run's line, by whose id the page finds it."""
    colour, dashes = look_of(number)
    line = {"color": colour, "ls": (0, dashes) if dashes else "-", "lw": 1.3}
    axis.plot(steps, values, **line, **options, gid=f"{axis.get_title()}-run-{number}".replace(" ", "-"))
