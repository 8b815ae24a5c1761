"""The weights of the terms of the objective. (Starts without torch.)"""

TERMS = ("reg", "sty", "cyc", "ds", "id", "cls")


def weight(loss, term, step):
    """The weight of a term at a step.

    Args:
        loss: a config's `loss` section.
        term: one of TERMS.

    By `loss.ramps` where it names the term: `start` up to `start_step`, then linear to `end` at `end_step`, and `end`
    from there on. Otherwise `lambda_<term>`, which for the diversity loss falls linearly to 0 over `ds_iter` steps.
    """
    if ramp := loss.ramps.get(term):
        share = (step - ramp.start_step) / max(1, ramp.end_step - ramp.start_step)
        return ramp.start + (ramp.end - ramp.start) * min(1.0, max(0.0, share))
    full = getattr(loss, f"lambda_{term}")
    return full * max(0.0, 1 - step / loss.ds_iter) if term == "ds" else full


def weights_at(loss, step):
    """{term: weight} of those that have one at a step. The R1 penalty: n times its own, every n = `r1_every` steps."""
    weights = {term: weight(loss, term, step) for term in TERMS}
    weights["reg"] *= loss.r1_every if step % loss.r1_every == 0 else 0
    return {term: value for term, value in weights.items() if value}


def is_used(loss, term):
    """Whether a term has a weight at any step."""
    ramp = loss.ramps.get(term)
    return bool(ramp.start or ramp.end) if ramp else getattr(loss, f"lambda_{term}") > 0
