"""A page about several models side by side, in one HTML file that asks for nothing else.

`interactive_page.html`, `.css` and `.js` beside this module are its frame, its looks and what it does.
"""

import base64
import html
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from numpy.typing import NDArray

from entailment.reporting.shown_model import CURVES, MODEL_COLORS, ShownModel
from entailment.trials.disagreements import Disagreements, DisputedRow

if TYPE_CHECKING:
    import numpy as np

_CHARACTERS: Final = 500
"""Of a text; more than is read to understand an answer."""
_THUMBNAIL: Final = 128
"""Longest side of an image, in pixels."""
_QUALITIES: Final = (80, 60, 40, 20)
_THUMBNAIL_BYTES: Final = 8_000
"""An image with more gets the next quality; photographs have less."""
_DIGITS: Final = 5
"""Of a value of a curve."""
_ESCAPED: Final = re.compile("[<>&\u2028\u2029\ud800-\udfff]")
"""What could end a script or begin another, and halves of characters, which no file can hold."""


@dataclass(frozen=True)
class Cell:
    """A cell of the table: what it shows, and by what it is sorted; None comes last."""

    text: str
    order: float | str | None = None
    interval: tuple[float, float] | None = None
    """Drawn as a bar from 0 to 1 where given."""
    below: str = ""
    """A second, smaller line."""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        order = None if isinstance(self.order, float) and self.order != self.order else self.order
        return {"text": self.text, "order": order, "interval": self.interval, "below": self.below}


@dataclass(frozen=True)
class Page:
    """What the page shows, from top to bottom."""

    title: str
    generated: bool
    """Whether the data are generated: then the page says that its figures say nothing about real posts."""
    verdict: Sequence[str]
    """The answer in plain sentences."""
    facts: Mapping[str, str]
    labels: Sequence[str]
    columns: Sequence[str]
    table: Sequence[Sequence[Cell]]
    """The first cell of a row is the name of what it is about; a row of fewer cells ends with one that spans."""
    explained: Mapping[str, str]
    """What the columns mean, by name."""
    models: Sequence[ShownModel]
    sorted_by: str = ""
    """The column by which the table is sorted at first, the largest on top; in the order of `table` if not given."""
    summed: str = ""
    """What the confusion matrices are sums over, where they are."""
    best_two: Sequence[str] = field(default_factory=tuple)
    """Shown first where two are compared."""
    test_rows: int = 0
    disagreements: Disagreements | None = None
    """None where each row was answered by one model alone."""


def facts_of_run(source: Mapping[str, Any], run_id: str, seeds: Iterable[int]) -> dict[str, str]:
    """What the page says of a run, by name: the data (`source` is what `ingest` gives of them), the seeds, its id."""
    version = "" if source["version"] is None else f" version {source['version']}"
    told = ", ".join(map(str, sorted(seeds)))
    return {
        "data set": f"{source['name']}{version}",
        "pairs": f"{source['rows']:,}",
        "sha256": source["sha256"][:12],
        ("seeds" if "," in told else "one seed"): told,
        "MLflow run": run_id,
    }


def interactive_page(page: Page) -> str:
    """The page as HTML, about 5 MB, most of it Plotly, at most 10 MB; the same `page` gives the same text.

    Texts are data: nothing in them can become part of the page.
    """
    from plotly.offline import get_plotlyjs

    parts = {suffix: Path(__file__).with_suffix(suffix).read_text("utf-8") for suffix in (".css", ".js")}
    frame = Path(__file__).with_suffix(".html").read_text("utf-8")
    filled = {
        "title": html.escape(page.title),
        "css": parts[".css"],
        "data": _as_script(_content(page)),
        "plotly": get_plotlyjs(),
        "js": parts[".js"],
    }
    # One pass: what is put in is not looked at again.
    pieces = frame.split("@@")
    return "".join(filled[piece] if number % 2 else piece for number, piece in enumerate(pieces))


def _content(page: Page) -> dict[str, Any]:
    return {
        "generated": page.generated,
        "verdict": list(page.verdict),
        "facts": dict(page.facts),
        "labels": list(page.labels),
        "columns": list(page.columns),
        "table": [[cell.as_json() for cell in row] for row in page.table],
        "sorted_by": page.columns.index(page.sorted_by) if page.sorted_by else None,
        "explained": dict(page.explained),
        "colors": MODEL_COLORS,
        "curves": [
            {
                "title": title,
                "lines": [
                    {"name": model.name, "kept": list(model.kept), "values": _finite(model.curves[name])}
                    for model in page.models
                    if name in model.curves
                ],
            }
            for name, title in CURVES.items()
        ],
        "matrices": [{"name": model.name, "counts": model.confusion.tolist()} for model in page.models],
        "summed": page.summed,
        "best_two": list(page.best_two),
        "disagreements": page.disagreements and _disagreements(page.disagreements, page.test_rows),
    }


def _disagreements(found: Disagreements, test_rows: int) -> dict[str, Any]:
    return {
        "rows": [_disputed(row) for row in found.rows],
        "total": found.total,
        "test_rows": test_rows,
        "by_pair": [[*pair, count] for pair, count in found.by_pair.items()],
    }


def _disputed(row: DisputedRow) -> dict[str, Any]:
    sample = row.sample
    posts = zip(sample.ids, (sample.text_1, sample.text_2), (sample.image_1, sample.image_2), strict=True)
    return {
        "row": row.row,
        "label": sample.label,
        "posts": [
            {"id": _cut(name), "text": _cut(text), "image": _thumbnail(image)} for name, text, image in posts
        ],
        "answers": {name: [answer, round(share, 4)] for name, (answer, share) in row.answers.items()},
    }


def _cut(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]} …"


def _thumbnail(image: "NDArray[np.uint8] | None") -> str | None:
    """A data URL; None where there is no image."""
    if image is None:
        return None
    from PIL import Image

    picture = Image.fromarray(image)
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
    for quality in _QUALITIES:
        packed = io.BytesIO()
        picture.save(packed, "JPEG", quality=quality)
        if packed.tell() <= _THUMBNAIL_BYTES:
            break
    return "data:image/jpeg;base64," + base64.b64encode(packed.getvalue()).decode()


def _finite(values: Iterable[float]) -> list[float | None]:
    return [float(f"{value:.{_DIGITS}g}") if abs(value) < float("inf") else None for value in values]


def _as_script(content: Mapping[str, Any]) -> str:
    """JSON that stands safely inside a `<script>` element: nothing in it ends the element or begins another."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _ESCAPED.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)
