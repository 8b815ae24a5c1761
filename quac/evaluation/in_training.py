"""How networks convert while they are trained: numbers for whoever watches, which decide nothing."""

from types import SimpleNamespace

from quac.classifier.judge import Judge
from quac.config.evaluation import KINDS
from quac.conversion.engine import convert
from quac.data.masks import Masks
from quac.data.store import Store
from quac.evaluation.metrics import LOOK_IMAGES, LOOK_QUERIES, LOOK_TRIES, RATES
from quac.evaluation.scores import rates_of
from quac.models.starganv2.styles import open_styles
from quac.system.console import log
from quac.system.tables import read_table

METRICS = (*RATES, "l1")


class Probe:
    """Averaged networks -> how they convert a few queries of the validation split, the same at every look.

    No random state is touched. The first failure, of whatever kind, ends the
    looks until the next start, with a warning, and nothing else.
    """

    def __init__(self, config, classifier, store, index, references, device):
        """
        Args:
            config: a resolved Config.
            classifier: file of the judge.
            store, index: files of the validation split; they are opened with the first look, as the judge is.
            references: Store of the training split.
        """
        self.config, self.classifier, self.files = config, classifier, (store, index)
        self.references, self.device = references, device
        self.opened, self.failed = None, False

    def __call__(self, networks):
        """`({name: mean over the class pairs}, {name: number of a pair})`, see `rates_of`; empty after a failure."""
        if self.failed:
            return {}, {}
        try:
            numbers = self._look(networks)
        except Exception as error:
            self.failed = True
            said = str(error).strip() or type(error).__name__
            log.warning("evaluation failed, training goes on without until the next start: %s", said)
            return {}, {}
        of_pairs = {name: number for name, number in numbers.items() if "/" in name}
        return {name: number for name, number in numbers.items() if "/" not in name}, of_pairs

    def _look(self, networks):
        self.opened = self.opened or self._open()
        judge, queries, masks = self.opened
        config = self.config
        settings = SimpleNamespace(
            tries=LOOK_TRIES,
            max_per_class=queries_of(len(self.references.classes)),
            batch_size=min(LOOK_QUERIES, config.validation_config.val_batch_size),
            seed=config.run.seed,
            data=config.data,
            model=config.model,
        )
        styles = open_styles(KINDS, networks, self.references, settings, self.device)
        how = {"masks": masks, "quiet": True}
        tries = convert(networks["generator"], judge, queries, styles, settings, self.device, **how)
        return rates_of(tries, METRICS)

    def _open(self):
        config, classes = self.config, self.references.classes
        queries = Store.open(*self.files)
        queries.require(config.model, classes)
        judge = Judge(self.classifier, config.validation_config, config.model, classes, self.device)
        return judge, queries, self._masks() if config.conversion.mask == "paste" else None

    def _masks(self):
        data, split, (_, index) = self.config.data, self.config.validation_data, self.files
        how = {"edge": self.config.conversion.mask_edge, "reading": data, "img_size": data.img_size}
        how |= {"preprocess": split.preprocess, "load_size": split.load_size}
        return Masks(read_table(index), SimpleNamespace(**how))


def queries_of(classes):
    """How many queries of a class are looked at, of so many classes."""
    images = LOOK_TRIES * len(KINDS) * classes * (classes - 1)  # of one query of each class
    return max(1, min(LOOK_QUERIES, LOOK_IMAGES // images))
