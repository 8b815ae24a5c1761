from quac.report.figures import loss_curves

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
