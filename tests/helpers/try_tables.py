"""Data sets without images: rows of an index that a test changes, and what the checks find in them."""

import json

import numpy as np
import pandas as pd
from helpers.builders import tiny_config

from quac.data.checks import check_splits

BINS = 16


def checking(preprocess="none", load_size=None, num_domains=None, sampling=None, **checks):
    """A config of the checks; `preprocess` and `load_size` are those of all splits, `sampling` its classes."""
    config = tiny_config()
    sizes = {"preprocess": preprocess, "load_size": load_size}
    changed = {name: getattr(config, name).model_copy(update=sizes) for name in ("validation_data", "test_data")}
    weights = "balanced" if sampling is None else dict.fromkeys(sampling, 1.0)
    changed["data"] = config.data.model_copy(update={**sizes, "sampling": weights})
    changed["model"] = config.model.model_copy(update={"num_domains": num_domains})
    changed["checks"] = config.checks.model_copy(update=checks)
    return config.model_copy(update=changed)


def image(split, name, number, **changes):
    """A row of an index: an image like no other."""
    rng = np.random.default_rng([number, *split.encode(), *name.encode()])
    level = rng.integers(6, 9)
    return {
        "path": f"{name}/{number:02d}.png",
        "class": name,
        "group": "",
        "mask": "",
        "weight": 1.0,
        "width": 32,
        "height": 32,
        "mode": "L",
        "note": "",
        "bits": 8,
        "bytes": 900,
        "sha256": f"file of {split}/{name}/{number}",
        "pixels": f"pixels of {split}/{name}/{number}",
        "phash": f"{rng.integers(2**64, dtype=np.uint64):016x}",
        "thumbnail": bytes(range(256)),
        "low": 0.1,
        "high": 0.9,
        "mean": 0.5,
        "lowest": 10.0,
        "highest": 240.0,
        "common_low": 20.0,
        "common_high": 230.0,
        "clipped": 0.0,
        "format": "PNG",
        "quality": 0,
        "histogram": np.eye(BINS)[level].tolist(),
        "error": "",
        **changes,
    }


UNREADABLE = {"width": 0, "height": 0, "mode": "", "bits": 0, "pixels": "", "phash": "", "low": np.nan, "high": np.nan}
UNREADABLE |= {"histogram": None, "thumbnail": b"", "error": "is not an image"}


class Data:
    """Good data at first: `rows`, `classes` and `strays` of each split."""

    def __init__(self, classes=("across", "along"), train=3, validation=2, test=1):
        self.rows = {
            split: [image(split, name, number) for name in classes for number in range(count)]
            for split, count in {"train": train, "validation": validation, "test": test}.items()
        }
        self.classes = {split: list(classes) for split in self.rows}
        self.strays = {split: [] for split in self.rows}

    def indexes(self):
        found = {}
        for split, rows in self.rows.items():
            classes = self.classes[split]
            rows = [{**row, "label": classes.index(row["class"])} for row in rows]
            found[split] = pd.DataFrame(rows, columns=[*image("", "", 0), "label"])
            found[split].attrs = {
                "source": f"data/{split}",
                "classes": classes,
                "strays": self.strays[split],
                "split": split,
            }
        return found

    def change(self, split, row, **changes):
        self.rows[split][row] |= changes

    def find(self, **changes):
        """The findings; each is as it must be, and can be written as JSON."""
        findings = check_splits(self.indexes(), checking(**changes))
        for finding in findings:
            assert list(finding) == ["code", "severity", "message", "remedy", "files", "pairs"]
        return json.loads(json.dumps(findings))

    def find_one(self, code, **changes):
        (finding,) = self.find(**changes)
        assert finding["code"] == code
        return finding


def codes(findings):
    return [finding["code"] for finding in findings]
