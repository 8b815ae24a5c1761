"""The check of the classifier and of the oracles: their accuracy on the real images of every split."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from quac.classifier.accuracy import accuracy_report, judge_store
from quac.classifier.diagnosis import require_accuracy
from quac.classifier.judge import Judge, open_oracles
from quac.classifier.trial import require_same
from quac.config import Config
from quac.data.batches import batches_of, load
from quac.data.store import Store, evenly_spaced
from quac.system.console import log
from quac.system.errors import QuacError
from quac.system.files import file_sha256

AGAIN = 256  # images that are judged again, at most


def check_classifier(
    config: Config, stores: dict[str, Store], classifier: Path, oracles: Sequence[Path], device: torch.device
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Judge the real images of every split.

    Args:
        config: `validation_config`, `oracles`, `data` (scale, shift) and `model` (img_size, input_dim) are used.
        stores: {split: Store}, with `train` and `validation`.
        oracles: files of the oracles, in the alphabetical order of their names.

    Returns:
        `(check, table)`: the check is JSON values of the classifier: `classifier` (path), `digest`, `outputs`,
        `channels`, `left_out` (classes), `has_one_output`, `one_vs_rest` (see `are_one_vs_rest`), `splits` (see
        `accuracy_report`), `classes`, and `oracles`, {name: the same for an oracle}. The table has a row per image:
        `split`, `path`, `class`, and `logit_<class>` of the classifier.

    Raises QuacError if a store does not fit the networks, or the accuracy of the classifier on validation is too low.
    The log warns of an oracle whose accuracy is too low: it chooses nothing.
    """
    classes = stores["train"].classes
    for store in stores.values():
        store.require(config.model, classes)
    first = Judge(classifier, config.validation_config, config.model, classes, device)
    check, logits = _check(first, stores, config, device)
    opened = open_oracles(config.oracles, oracles, config.model, classes, device)
    checks = {name: _check(oracle, stores, config, device, name)[0] for name, oracle in opened.items()}
    tables = []
    for split, store in stores.items():
        labels = np.array(store.classes, dtype=object)[store.labels]
        table = pd.DataFrame({"split": split, "path": store.paths, "class": labels})
        tables.append(table.assign(**{f"logit_{name}": logits[split][:, i] for i, name in enumerate(store.classes)}))
    return {**check, "classes": classes, "oracles": checks}, pd.concat(tables, ignore_index=True)


def _check(
    judge: Judge, stores: dict[str, Store], config: Config, device: torch.device, oracle: str | None = None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The check of the classifier, or of an oracle by its name, and {split: logits (images, classes)}."""
    batch_size, reports, logits = config.validation_config.val_batch_size, {}, {}
    name = f"{oracle}, " if oracle else ""
    if judge.left_out:
        log.info("%s: classes that the data does not have are left out: %s", judge.path, ", ".join(judge.left_out))
    if judge.has_one_output:
        log.info("%s: its one output is taken for that of %s", judge.path, judge.named[1])
    for split, store in stores.items():
        logits[split] = judge_store(judge, store, config.data, batch_size, device)
        reports[split] = accuracy_report(logits[split], store.labels, judge.classes)
        log.info("%s%s: accuracy %.1f %% on %d images", name, split, 100 * reports[split]["accuracy"], len(store))
        if split == "validation":
            minimum = config.validation_config.min_accuracy
            try:
                require_accuracy(judge, logits[split], store, config.data, batch_size, minimum)
            except QuacError as error:
                if oracle is None:
                    raise
                log.warning("oracles.%s: %s", oracle, error)
    outputs = _outputs_again(judge, stores["validation"], logits["validation"], config)
    if judge.is_ambiguous(outputs):
        raise judge.ambiguity
    one_vs_rest = not judge.gives_probabilities and are_one_vs_rest(outputs.cpu().numpy())
    if one_vs_rest:
        log.warning(
            "%s: its outputs lie between 0 and 1, but do not add up to 1, as those of a sigmoid per class. They were "
            "taken for logits: its decisions are right, but its probabilities are not. Set %s.outputs to "
            "probabilities (each is then divided by their sum), or save it without the sigmoid",
            *(judge.path, judge.section),
        )
    check = {
        "classifier": str(judge.path),
        "digest": file_sha256(judge.path),
        "outputs": "probabilities" if judge.gives_probabilities else "logits",
        "channels": judge.channels,
        "left_out": judge.left_out,
        "has_one_output": judge.has_one_output,
        "one_vs_rest": one_vs_rest,
        "splits": reports,
    }
    return check, logits


@torch.inference_mode()
def _outputs_again(judge: Judge, store: Store, logits: np.ndarray, config: Config) -> torch.Tensor:
    """What a judge returns for some real images (images, outputs), `logits` (images, classes) being those of them all.

    Raises QuacError if it returns others than before, which the trial with images that are not real may not show.
    """
    outputs = []
    some = evenly_spaced(np.arange(len(store)), AGAIN)
    for rows in batches_of(store, some, config.validation_config.val_batch_size):
        images = load(store, rows, judge.device, config.data.scale, config.data.shift)
        require_same(judge.path, torch.from_numpy(logits[rows]), judge.logits(images).cpu())
        outputs.append(judge.outputs(images))
    return torch.cat(outputs)


def are_one_vs_rest(outputs: np.ndarray) -> bool:
    """Whether outputs (images, classes) seem to be those of a sigmoid per class: 0 to 1, with other sums."""
    within = outputs.shape[1] > 1 and (outputs >= 0).all() and (outputs <= 1).all()
    return bool(within and not np.allclose(outputs.sum(1), 1, atol=1e-3))
