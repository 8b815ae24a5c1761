"""The controls of a report: what the classifiers say of images that are no conversions, and what follows from it."""

from collections.abc import Callable

from quac.report.formats import decimals, percent
from quac.report.parts import Number, Numbers, Part

LABELS = {
    "own_style": "own-style reconstruction",
    "unchanged": "unchanged query",
    "nearest": "nearest real training image",
    "noise": "adversarial noise",
    "real": "real images of the target",
}
RATE = "translation_rate"
MARGIN = 0.1  # by which a rate must be lower to be called so


class ControlNumbers(Numbers):
    """`translation_rate`, `translation_rate_by_<name>`, `l1`, `l1_scaled`, of `queries` images."""

    queries: int


class ControlPair(ControlNumbers):
    """Those of a pair of classes."""

    source: str
    target: str


class Control(Part):
    """A control, or a style kind of the conversion; `average`: over `pairs`."""

    name: str
    average: ControlNumbers
    pairs: list[ControlPair]

    @property
    def is_conversion(self) -> bool:
        return self.name not in LABELS

    @property
    def label(self) -> str:
        """What its images are."""
        return LABELS.get(self.name, f"conversion, {self.name} styles")

    def of(self, source: str, target: str) -> ControlPair:
        """The numbers of a pair."""
        return next(pair for pair in self.pairs if (pair.source, pair.target) == (source, target))


class Noise(Part):
    """How the noise was made, see `quac.evaluation.controls`; `eps`: a share of the range, None if there is none."""

    eps: float | None
    reached: bool
    wanted: float
    steps: int
    ladder: list[float]
    fault: str = ""


class Controls(Part):
    """The controls of a split; `max_queries` of a pair of classes were drawn by `seed`."""

    split: str
    seed: int
    max_queries: int
    noise: Noise
    controls: list[Control]

    def find(self, name: str) -> ControlNumbers | None:
        """The average of a control."""
        return next((control.average for control in self.controls if control.name == name), None)

    def converted(self, name: str) -> Number:
        """A number of the conversions: the mean over the style kinds; None if one has no such number."""
        numbers = [control.average.number(name) for control in self.controls if control.is_conversion]
        known = [number for number in numbers if number is not None]
        return sum(known) / len(known) if known and len(known) == len(numbers) else None

    @property
    def oracles(self) -> list[str]:
        """Names of the further classifiers."""
        marker, numbers = f"{RATE}_by_", self.controls[0].average.model_extra or {}
        return [name.removeprefix(marker) for name in numbers if name.startswith(marker)]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Source and target of each pair."""
        return [(pair.source, pair.target) for pair in self.controls[0].pairs]


def sentence_of(controls: Controls) -> str:
    """The averages of the conversions, over all style kinds, and of the controls, as a sentence."""
    l1, scale = controls.converted("l1"), controls.converted("l1_scaled")
    clauses = [f"Converted: {_rates(controls, controls.converted)}, at L1 {decimals(l1, 2)}"]
    if scale is not None:
        clauses[0] += f" ({decimals(scale, 2)} of the way from the own-style reconstruction to the nearest real image)"
    if unchanged := controls.find("unchanged"):
        clauses.append(f"unchanged: {percent(unchanged.number(RATE))} %")
    if nearest := controls.find("nearest"):
        clauses.append(
            f"nearest real image: {percent(nearest.number(RATE))} % at L1 {decimals(nearest.number('l1'), 2)}"
        )
    if noise := controls.find("noise"):
        change = noise.number("l1")
        share = f" at {100 * change / l1:.0f} % of the change" if l1 and change is not None else ""
        clauses.append(f"noise{share}: {_rates(controls, noise.number)}")
    return "; ".join(clauses) + "."


def _rates(controls: Controls, number: Callable[[str], Number]) -> str:
    """The translation rate by each classifier; `number`: gives a number by its name."""
    rates = [f"{percent(number(RATE))} % by the classifier"]
    return ", ".join([*rates, *(f"{percent(number(f'{RATE}_by_{name}'))} % by {name}" for name in controls.oracles)])


def meaning_of(controls: Controls) -> str:
    """What follows from the controls, in plain words."""
    return " ".join(filter(None, (_meaning_of_noise(controls), _meaning_of_distance(controls))))


def _meaning_of_noise(controls: Controls) -> str:
    noise = controls.find("noise")
    if noise is None:
        return "The classifier gives no gradients: whether noise would do as well as the conversions is not known."
    if not controls.noise.reached:
        return "No noise that was tried reaches the rate of the conversions by the classifier."
    if not controls.oracles:
        return (
            "The classifier calls noise the target as often as the conversions, and no other classifier judged: "
            "nothing here tells the two apart."
        )
    fooled: list[str] = []
    protecting: list[str] = []
    for name in controls.oracles:
        converted, by_noise = controls.converted(f"{RATE}_by_{name}"), noise.number(f"{RATE}_by_{name}")
        apart = converted is not None and by_noise is not None and by_noise < converted - MARGIN
        (protecting if apart else fooled).append(name)
    if not protecting:
        return (
            f"Noise does as well as the conversions by {' and by '.join(fooled)}, too: nothing here shows that the "
            "conversions are more than noise."
        )
    return (
        f"Noise that fools the classifier as often is called the target less often by {' and by '.join(protecting)}: "
        "the conversions are more than such noise."
    )


def _meaning_of_distance(controls: Controls) -> str:
    converted, nearest = controls.converted("l1"), controls.find("nearest")
    l1 = nearest.number("l1") if nearest else None
    if converted is None or l1 is None or converted < l1:
        return ""
    return "The conversions are no nearer to their queries than the nearest real image of the target class is."
