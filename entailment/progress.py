"""Progress of long work on standard error: a bar in a terminal, elsewhere a line every 30 seconds."""

import sys
from typing import Any, Final

_SECONDS: Final = 30


def progress_bar(total: int | None, *, unit: str, what: str, shown: bool = True, **options: Any) -> Any:
    """A tqdm bar, to be used in a `with` block; `options` are tqdm's.

    Example:
        with progress_bar(len(rows), unit="row", what="rows") as bar:
            bar.update(10)
    """
    from tqdm import tqdm

    if not sys.stderr.isatty():
        rate = "{desc}: {n_fmt} of {total_fmt}, {elapsed} so far{postfix}\n"
        options |= {"mininterval": _SECONDS, "maxinterval": _SECONDS, "delay": _SECONDS, "bar_format": rate}
    return tqdm(total=total, unit=unit, desc=what, disable=not shown, **options)
