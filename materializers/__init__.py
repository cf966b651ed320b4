"""How each artifact is stored: open formats only."""

from materializers.head import HeadMaterializer
from materializers.pairs import PairsMaterializer
from materializers.records import RecordsMaterializer
from materializers.report import ReportMaterializer

__all__ = ["HeadMaterializer", "PairsMaterializer", "RecordsMaterializer", "ReportMaterializer"]
