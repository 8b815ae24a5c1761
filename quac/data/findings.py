"""What a check of the data found: a message, the remedy, the files."""

from collections import Counter

from quac.system.errors import listing


def finding(message, remedy, files=(), pairs=()):
    return {"message": message, "remedy": remedy, "files": list(files), "pairs": [list(pair) for pair in pairs]}


def describe(findings, limit=10):
    """The findings as text, each with at most `limit` of its files."""
    return "\n".join(
        f"{finding['severity']}: {finding['message']} ({finding['code']})\n"
        f"  remedy: {finding['remedy']}" + ("\n" + listing(finding["files"], limit) if finding["files"] else "")
        for finding in findings
    )


def sources_of(data):
    return conjoined(list(dict.fromkeys(index.attrs["source"] for index in data.indexes.values())))


def conjoined(names):
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def tally(values, what="image(s)", limit=5):
    """How often each value occurs, as text: the most frequent ones first, at most `limit` of them."""
    counts = Counter(values).most_common()
    said = [f"{value}: {count} {what}" for value, count in counts[:limit]]
    return ", ".join([*said, "..."] if len(counts) > limit else said)
