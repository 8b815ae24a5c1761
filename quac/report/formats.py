"""How the report writes numbers."""

DASH = "\N{EN DASH}"  # where there is no number
LEVELS = 20  # of a cell's shade: 0 to LEVELS, see style.css


def percent(rate):
    return DASH if rate is None else f"{100 * rate:.1f}"


def decimals(number, digits=3):
    return DASH if number is None else f"{number:.{digits}f}"


def significant(number):
    """Three digits, without an exponent up to a million."""
    if number is None:
        return DASH
    return f"{number:.3g}" if 0 < abs(number) < 1e-3 or abs(number) >= 1e6 else f"{float(f'{number:.3g}'):g}"


def duration(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def level(share):
    """The shade of a cell: 0 to LEVELS for a share of 0 to 1."""
    return 0 if share is None else round(LEVELS * min(1.0, max(0.0, share)))
