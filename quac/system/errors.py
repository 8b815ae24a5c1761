class QuacError(Exception):
    """Something a user can put right.

    The message names the file or config key and the remedy; the command line
    shows it without a traceback and exits with status 1.
    """


def lines_of(error):
    """What an error says, as lines: at least one, which is its kind where it says nothing."""
    return str(error).strip().splitlines() or [type(error).__name__]


def listing(items, limit=10):
    """Lines of at most `limit` items (None: all), indented, and how many more there are."""
    lines = [f"  {item}" for item in items[:limit]]
    if limit is not None and len(items) > limit:
        lines.append(f"  ... and {len(items) - limit} more")
    return "\n".join(lines)
