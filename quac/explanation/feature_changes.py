"""What changed, in words: how measured features change from query to conversion, against how the classes differ."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from quac.data.parallel import map_processes
from quac.data.stage_images import read_pixels
from quac.data.store import Store
from quac.explanation.features import FEATURES, measure
from quac.system.console import log, progress
from quac.system.files import files_sha256, write_text
from quac.system.provenance import Provenance
from quac.system.tables import csv_text, read_table, write_table

CHUNK = 16  # images that a worker takes at a time
LEVEL = 0.05
STRONG = 0.5  # standard deviations of the real images; a smaller change is none that the eye would see
COLUMNS = ["kind", "query", "source", "target", "method", "file", "right", "best"]
PAIR = ["kind", "source", "target"]


@dataclass(frozen=True)
class Mean:
    """A mean, or a difference of means, its standard error, and the degrees of freedom of that."""

    value: float
    error: float
    freedom: float

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, by Student's t."""
        margin = float(stats.t.ppf(1 - LEVEL / 2, self.freedom)) * self.error if self.error else 0.0
        return self.value - margin, self.value + margin

    @property
    def p(self) -> float:
        """Two-sided, of no difference."""
        if not self.error:  # all the same
            return float(self.value == 0)
        return float(2 * stats.t.sf(abs(self.value) / self.error, self.freedom))

    def minus(self, other: "Mean") -> "Mean":
        """The difference of independent means (Welch 1947)."""
        squares = self.error**2, other.error**2
        parts = squares[0] ** 2 / self.freedom + squares[1] ** 2 / other.freedom
        freedom = sum(squares) ** 2 / parts if parts else self.freedom + other.freedom
        return Mean(self.value - other.value, float(np.sqrt(sum(squares))), freedom)


def mean_of(values: np.ndarray, groups: np.ndarray | None = None) -> Mean | None:
    """The mean of values (n,) of queries; None if there are fewer than two.

    Args:
        groups: (n,) group of each, "" for none, whose queries are not independent. Every query then counts with the
            mean of its group, and n is the effective number of groups, as in `quac.evaluation.intervals`.
    """
    values, n = np.asarray(values, float), float(len(values))
    if groups is not None and n:
        own = np.where(groups == "", np.arange(len(values)).astype(str), np.char.add("group ", groups.astype(str)))
        _, group, sizes = np.unique(own, return_inverse=True, return_counts=True)
        values, n = (np.bincount(group, values) / sizes)[group], n**2 / float((sizes**2).sum())
    if n < 2 - 1e-9:
        return None
    # Deviations of rounding alone are none.
    variance = ((values - values.mean()) ** 2).mean() if np.ptp(values) > 1e-12 * np.abs(values).max() else 0.0
    return Mean(float(values.mean()), float(np.sqrt(variance / (n - 1))), n - 1)


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """p-values (m,) adjusted for m tests, in their order (Holm 1979)."""
    values = np.asarray(p, float)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate((len(values) - np.arange(len(values))) * values[order]).clip(max=1)
    return adjusted


def feature_changes(measured: pd.DataFrame, real: pd.DataFrame) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """The changes of the features of each style kind and class pair.

    Args:
        measured: one row an explained conversion: `kind`, `source`, `target`, `group`; `query`, `generated` and
            `counterfactual`, (features,) each, in the order of FEATURES.
        real: one row an image: `class`, `group`, `features`.

    Returns:
        `(changes, left_out)`. Changes: one row a kind, source, target and feature, with `unit`; `conversions`, and
        `undefined`, how many more there are in which an image does not have the feature; means of `query`,
        `generated`, `counterfactual`; of the paired differences from the query `generated_change` and
        `counterfactual_change`, each with `_low`, `_high` (95 %) and `_p` (Holm, over the features of the pair);
        `real_source`, `real_target` and `real_difference` of real images, likewise; `real_sd`, the standard deviation
        within the classes; `generated_share` and `counterfactual_share` of the real difference, missing where the
        classes do not differ; `excess`: whether the conversion changes a feature strongly, and more than the classes
        can differ in it if they do. Left out: {kind, source, target, feature} of those that have less than two
        conversions, or real images, from which to know.
    """
    images: dict[str, tuple[np.ndarray, np.ndarray]] = {
        str(name): (np.stack(list(rows["features"])), rows["group"].to_numpy()) for name, rows in real.groupby("class")
    }
    none = np.empty((0, len(FEATURES))), np.empty(0, object)  # of a class without images in the split
    parts, left_out = [], []
    for pair, rows in measured.groupby(PAIR, sort=False):
        about = dict(zip(PAIR, map(str, pair), strict=True))
        found = []
        for number, name in enumerate(FEATURES):
            classes = [_known(images.get(about[end], none), number) for end in ("source", "target")]
            row = _change(rows, number, classes)
            if row is not None:
                found.append({**about, "feature": name, "unit": FEATURES[name].unit, **row})
            elif any(len(values) for values, _ in classes):  # else it is none of such images, as colour of grey ones
                left_out.append({**about, "feature": name})
        if found:
            parts.append(_compared(pd.DataFrame(found)))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*PAIR, "feature"]), left_out


def _known(images: tuple[np.ndarray, np.ndarray], number: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and groups of those of a class's images that have a feature."""
    features, groups = images
    known = ~np.isnan(features[:, number])
    return features[known, number], groups[known]


def _change(
    rows: pd.DataFrame, number: int, classes: list[tuple[np.ndarray, np.ndarray]]
) -> dict[str, float | int] | None:
    """The numbers of a feature, but for what depends on the others."""
    names = ("query", "generated", "counterfactual")
    values = {name: np.stack(list(rows[name]))[:, number] for name in names}
    known = ~np.isnan(np.stack(list(values.values()))).any(0)
    query, groups = values["query"][known], rows["group"].to_numpy()[known]
    generated, counterfactual = (mean_of(values[name][known] - query, groups) for name in names[1:])
    source, target = (mean_of(*of_class) for of_class in classes)
    if generated is None or counterfactual is None or source is None or target is None:
        return None
    numbers: dict[str, float | int] = {"conversions": int(known.sum()), "undefined": int((~known).sum())}
    numbers |= {name: float(values[name][known].mean()) for name in names}
    within = [((of_class - of_class.mean()) ** 2).sum() for of_class, _ in classes]
    freedom = sum(len(of_class) - 1 for of_class, _ in classes)
    numbers |= {
        "real_source": source.value,
        "real_target": target.value,
        "real_sd": float(np.sqrt(sum(within) / freedom)),
    }
    means = {"generated_change": generated, "counterfactual_change": counterfactual}
    for name, mean in {**means, "real_difference": target.minus(source)}.items():
        low, high = mean.interval
        numbers |= {name: mean.value, f"{name}_low": low, f"{name}_high": high, f"{name}_p": mean.p}
    return numbers


def _compared(table: pd.DataFrame) -> pd.DataFrame:
    """The features of a pair, compared with each other and with the real difference."""
    for name in ("generated_change", "counterfactual_change", "real_difference"):
        table[f"{name}_p"] = holm(table[f"{name}_p"].to_numpy())
    differs = (table["real_difference_p"] < LEVEL) & (table["real_difference"] != 0)
    for name in ("generated", "counterfactual"):
        table[f"{name}_share"] = (table[f"{name}_change"] / table["real_difference"]).where(differs)
    beyond = (table["generated_change_low"] > table["real_difference_high"]) | (
        table["generated_change_high"] < table["real_difference_low"]
    )
    strong = table["generated_change"].abs() > STRONG * table["real_sd"]
    table["excess"] = ~differs & beyond & strong & (table["generated_change_p"] < LEVEL)
    return table


def write_feature_changes(
    tables: Sequence[Path], store: Path, index: Path, out: Path, csv: Path, workers: int, provenance: Provenance
) -> None:
    """Measure the explained conversions of a split by the best method of each, and its real images; write the changes.

    Only of queries that the classifier calls their class. The attributes of the table are `left_out`, see
    `feature_changes`, and the provenance.

    Args:
        tables: of explanations, see `quac.explanation.split_explanation`, one of each style kind.
        workers: processes that measure.
    """
    images = read_table(index, ["path", "class", "group"])
    stored = partial(_measure_stored, store, index)
    features = list(_measured(stored, range(len(images)), "measuring images", workers))
    images = images.assign(features=pd.Series(features, images.index, dtype=object))
    measured = pd.concat([_measured_conversions(path, images, workers) for path in tables], ignore_index=True)
    changes, left_out = feature_changes(measured, images)
    record = provenance.record(files={"explanations": files_sha256(tables)})
    definitions = {name: feature.definition for name, feature in FEATURES.items()}
    write_table(out, changes, left_out=left_out, definitions=definitions, provenance=record)
    write_text(csv, csv_text(changes))
    log.info("%d changes of features, %d left out for lack of images that have them", len(changes), len(left_out))


def _measured_conversions(path: Path, images: pd.DataFrame, workers: int) -> pd.DataFrame:
    """The conversions of a table of explanations, as `feature_changes` takes them."""
    table = read_table(path, COLUMNS)
    rows = table[table["best"].astype(bool) & table["right"].astype(bool)]
    generated, counterfactuals = (path.parent / table.attrs["paths"][name] for name in ("generated", "counterfactuals"))
    files = [(generated, f"{file}.png") for file in rows["file"]]
    names = zip(rows["method"], rows["file"], strict=True)
    files += [(counterfactuals, f"{method}/{file}.png") for method, file in names]
    features = list(_measured(_measure_file, files, "measuring conversions", workers))
    queries = images.set_index("path").loc[rows["query"]]
    made = {"generated": features[: len(rows)], "counterfactual": features[len(rows) :]}
    about = {name: rows[name].to_numpy() for name in PAIR}
    return pd.DataFrame({**about, "group": queries["group"].to_numpy(), "query": queries["features"].to_list(), **made})


def _measured(function: Any, items: Sequence[Any], what: str, workers: int) -> Iterator[np.ndarray]:
    yield from progress(map_processes(function, items, workers, CHUNK), what, len(items))


def _measure_stored(store: Path, index: Path, row: int) -> np.ndarray:
    """The features of a real image as the networks see it, (features,)."""
    return _vector(_opened(store, index).images([row])[0].transpose(1, 2, 0))


def _measure_file(file: tuple[Path, str]) -> np.ndarray:
    """Those of an image in a folder that a stage has made."""
    folder, name = file
    return _vector(read_pixels(folder / name, folder))


def _vector(image: np.ndarray) -> np.ndarray:
    return np.array(list(measure(image).values()))


@lru_cache(maxsize=1)
def _opened(store: Path, index: Path) -> Store:
    return Store.open(store, index)
