import numpy as np
import pytest

from quac.config.training import Loss
from quac.report.figures import (
    LINE_STYLES,
    MAX_POINTS,
    OVER_STEPS,
    PALETTE,
    TERMS,
    evaluation_curves,
    finite,
    loss_curves,
    scores_over_checkpoints,
    smooth,
    term_colours,
)
from quac.report.schema import Score

KINDS = ["latent", "reference"]
NAMES = [
    *(f"D/{kind}_{term}" for kind in KINDS for term in ("real", "fake", "reg")),
    *(f"G/{kind}_{term}" for kind in KINDS for term in ("adv", "sty", "cyc", "ds", "cls")),
    "G/latent_id",
]


def test_every_term_is_drawn():
    history = {"step": [1, 2, 3], **{name: [1.0, 2.0, 3.0] for name in NAMES}}
    history["D/latent_reg"] = [None, 0.5, None]  # computed now and then
    history["D/reference_real"] = [None, None, None]
    text = str(loss_curves(history))
    for label in ("latent fake", "reference cls", "latent id", "latent ds", "latent real", "reference reg"):
        assert f">{label}<" in text
    for name in history.keys() - {"step"}:
        assert f'id="plain-{name}"' in text
        assert f'id="smooth-{name}"' in text
    assert text.count('role="img" aria-label="Losses') == 2
    assert "#010203" not in text


@pytest.mark.parametrize("network", TERMS)
def test_every_term_has_a_colour_of_its_own(network):
    colours = term_colours(network, [])
    assert set(colours) >= ({"adv", *Loss.TERMS} - {"reg"} if network == "G" else {"real", "fake", "reg"})
    assert len(set(colours.values())) == len(colours)


def test_terms_and_style_kinds_that_are_not_known_are_drawn():
    unknown = ["G/latent_new_term", "G/direct_adv", "G/plain", *(f"D/latent_new{n}" for n in range(len(PALETTE)))]
    text = str(loss_curves({"step": [1, 2], **{name: [1.0, 2.0] for name in unknown}}))
    for label in ("latent new_term", "direct adv", "plain", "latent new0"):
        assert f">{label}<" in text
    assert len(set(LINE_STYLES)) == len(LINE_STYLES)


def test_a_long_history_is_drawn_by_means_of_neighbours():
    n = 10 * MAX_POINTS - 3
    steps, values = finite({"step": list(range(n)), "x": [2.0] * n}, "x")
    assert len(steps) == len(values) == MAX_POINTS
    assert (values == 2).all()
    assert steps[0] == 4.5


def test_smoothing_takes_fewer_neighbours_at_the_ends():
    assert smooth(np.array([])).tolist() == []
    assert smooth(np.arange(3.0)).tolist() == [1, 1, 1]
    ramp = smooth(np.arange(100.0))
    assert (ramp[0], ramp[50], ramp[99]) == (3.5, 50, 95.5)


def test_evaluations_are_drawn_if_there_were_any():
    history = {"step": [1, 2, 3], "G/latent_adv": [1.0, 2.0, 3.0]}
    assert evaluation_curves(history, KINDS) == ""
    history |= {f"{name}_{kind}": [None, 0.5, None] for name in OVER_STEPS for kind in KINDS}
    text = str(evaluation_curves(history, KINDS))
    for title in ("Translation rate", "Conversion rate", "L1 distance"):
        assert f'aria-label="{title}, during training"' in text
    assert text.count(">reference<") == text.count(">latent<") == 3


def test_checkpoints_of_one_step_are_drawn():
    names = ("translation_rate", "conversion_rate", "l1")
    rates = {f"{name}{end}": 0.5 for name in names for end in ("", "_low", "_high")}
    scores = [Score(step=7, kind=kind, queries=1, tries=1, **rates) for kind in KINDS]
    assert ">selected: 7<" in scores_over_checkpoints(scores, 7)


def test_scores_that_lack_a_metric_are_drawn_without_it():
    scores = [Score(step=step, kind="latent", queries=1, tries=1, translation_rate=0.5) for step in (1, 2)]
    assert ">selected: 2<" in scores_over_checkpoints(scores, 2)
