"""How TFRecord files are written."""

from entailment.configuration.section import Count, Section


class Records(Section):
    """How TFRecord files are written."""

    rows_per_shard: Count = 512
