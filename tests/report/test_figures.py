import numpy as np

from quac.report.figures import MOST_POINTS, TITLES, known, looks, loss_curves, rates_over_checkpoints, smooth

OF_A_KIND = [
    "D/latent_fake",
    "D/ref_fake",
    *(f"G/{k}_{t}" for k in ("latent", "ref") for t in ("adv", "sty", "cyc", "ds", "cls")),
]


def test_every_term_of_every_schedule_is_drawn():
    history = {"step": [1, 2, 3], **{name: [1.0, 2.0, 3.0] for name in [*OF_A_KIND, "D/real", "G/latent_id"]}}
    history["D/reg"] = [None, 0.5, None]  # taken now and then
    history["D/latent_real"] = history["D/latent_reg"] = [None, None, None]
    text = str(loss_curves(history))
    for label in ("latent fake", "ref cls", "latent id", "latent ds", "real", "reg"):
        assert f">{label}<" in text
    for name in history.keys() - {"step"}:
        assert f'id="plain-{name}"' in text
        assert f'id="smooth-{name}"' in text
    assert text.count('role="img" aria-label="Losses') == 2
    assert "#010203" not in text


def test_a_long_history_is_drawn_by_means_of_neighbours():
    n = 10 * MOST_POINTS - 3
    steps, values = known({"step": list(range(n)), "x": [2.0] * n}, "x")
    assert len(steps) == len(values) == MOST_POINTS
    assert (values == 2).all()
    assert steps[0] == 4.5


def test_smoothing_takes_fewer_neighbours_at_the_ends():
    assert smooth(np.array([])).tolist() == []
    assert smooth(np.arange(3.0)).tolist() == [1, 1, 1]
    ramp = smooth(np.arange(100.0))
    assert (ramp[0], ramp[50], ramp[99]) == (3.5, 50, 95.5)


def test_what_was_looked_at_is_drawn_and_nothing_where_nothing_was():
    history = {"step": [1, 2, 3], "G/latent_adv": [1.0, 2.0, 3.0]}
    assert looks(history) == ""
    history |= {f"{name}_{kind}": [None, 0.5, None] for name in TITLES for kind in ("latent", "reference")}
    text = str(looks(history))
    for title in ("Translation rate", "Conversion rate", "L1 distance to the query"):
        assert f'aria-label="{title}, while it trained"' in text
    assert text.count(">reference<") == text.count(">latent<") == 3


def test_checkpoints_of_one_step_are_drawn():
    names = ("translation_rate", "conversion_rate", "l1")
    rates = {f"{name}{end}": 0.5 for name in names for end in ("", "_low", "_high")}
    text = rates_over_checkpoints([{"step": 7, "kind": kind, **rates} for kind in ("latent", "reference")], 7)
    assert ">selected: 7<" in text
