"""How often each query was converted, by which runs on the same queries are compared query by query."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from quac.evaluation.metrics import RATES
from quac.report.parts import Part

ID_LENGTH = 16  # digits of a query's digest
COLUMNS = ["source", "target", "query", "digest", "predicted"]  # of a table of tries


class QueryHits(Part):
    """How many of the tries of each query, of the shown split, the classifier calls the target.

    Lists are texts, with a blank between entries. `queries`: {source: ids}, the first digits of the digests, sorted;
    `hits`: {style kind: {source: {target: numbers of tries}}} in that order.
    """

    tries: int
    queries: dict[str, str]
    hits: dict[str, dict[str, dict[str, str]]]

    @classmethod
    def count(cls, tables: Mapping[str, pd.DataFrame], classes: Sequence[str], tries: int) -> "QueryHits":
        """Of tables of tries, {style kind: table} with COLUMNS."""
        queries: dict[str, str] = {}
        hits: dict[str, dict[str, dict[str, str]]] = {}
        for kind, table in tables.items():
            table = table[table["source"] != table["target"]]
            is_hit = (table["predicted"] == table["target"]).astype(int)
            counts = is_hit.groupby([table[name] for name in ("source", "target", "digest", "query")]).sum()
            by_target = counts.unstack("target")  # rows by source, digest, path
            hits[kind] = {}
            for source in classes:
                rows = by_target[by_target.index.get_level_values("source") == source]
                queries[source] = " ".join(digest[:ID_LENGTH] for _, digest, _ in rows.index)
                hits[kind][source] = {
                    target: " ".join(map(str, rows[target].astype(int))) for target in classes if target != source
                }
        return cls(tries=tries, queries=queries, hits=hits)

    def rates(self, kind: str) -> dict[str, np.ndarray]:
        """{source: (queries, targets, rates)}: the RATES of each query, the targets in the order of their names."""
        rates = {}
        for source, targets in self.hits[kind].items():
            hits = np.array([targets[target].split() for target in sorted(targets)], float).T
            by_name = {"translation_rate": hits / self.tries, "conversion_rate": (hits > 0).astype(float)}
            rates[source] = np.stack([by_name[rate] for rate in RATES], axis=-1)
        return rates
