"""The check of the classifiers: their accuracy on the real images of every split."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from quac.classifier.accuracy import accuracy_report, judge_store
from quac.classifier.diagnosis import require_accuracy
from quac.classifier.judge import Judge, open_judges
from quac.config import Config
from quac.data.store import Store
from quac.system.console import log
from quac.system.files import file_sha256


def check_classifier(
    config: Config, stores: dict[str, Store], classifier: Path, judges: Sequence[Path], device: torch.device
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Judge the real images of every split.

    Args:
        config: `validation_config`, `judges`, `data` (scale, shift) and `model` (img_size, input_dim) are used.
        stores: {split: Store}, with `train` and `validation`.
        judges: files of the further judges, in the alphabetical order of their names.

    Returns:
        `(check, table)`: the check is JSON values of the classifier: `classifier` (path), `digest`, `outputs`,
        `channels`, `splits` (see `accuracy_report`), `classes`, and `judges`, {name: the same for a further judge}. The
        table has a row per image: `split`, `path`, `class`, and `logit_<class>` of the classifier.

    Raises QuacError if a store does not fit the networks, or the accuracy of a classifier on validation is too low.
    """
    classes = stores["train"].classes
    for store in stores.values():
        store.require(config.model, classes)
    first = Judge(classifier, config.validation_config, config.model, classes, device)
    further = open_judges(config.judges, judges, config.model, classes, device)
    check, logits = _check(first, stores, config, device)
    checks = {name: _check(judge, stores, config, device, f"{name}, ")[0] for name, judge in further.items()}
    tables = []
    for split, store in stores.items():
        labels = np.array(store.classes, dtype=object)[store.labels]
        table = pd.DataFrame({"split": split, "path": store.paths, "class": labels})
        tables.append(table.assign(**{f"logit_{name}": logits[split][:, i] for i, name in enumerate(store.classes)}))
    return {**check, "classes": classes, "judges": checks}, pd.concat(tables, ignore_index=True)


def _check(
    judge: Judge, stores: dict[str, Store], config: Config, device: torch.device, name: str = ""
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The check of a judge, and {split: logits (images, classes)}; `name` comes before the split in messages."""
    batch_size, reports, logits = config.validation_config.val_batch_size, {}, {}
    for split, store in stores.items():
        logits[split] = judge_store(judge, store, config.data, batch_size, device)
        reports[split] = accuracy_report(logits[split], store.labels, judge.classes)
        log.info("%s%s: accuracy %.1f %% on %d images", name, split, 100 * reports[split]["accuracy"], len(store))
        if split == "validation":
            minimum = config.validation_config.min_accuracy
            require_accuracy(judge, logits[split], store, config.data, batch_size, minimum)
    check = {
        "classifier": str(judge.path),
        "digest": file_sha256(judge.path),
        "outputs": "probabilities" if judge.gives_probabilities else "logits",
        "channels": judge.channels,
        "splits": reports,
    }
    return check, logits
