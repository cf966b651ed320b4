"""How images are found and decoded."""

from typing import Annotated, Final, Literal

from pydantic import Field

from entailment.configuration.section import Count, Section

MAX_DECODED_BYTES: Final = 512_000_000
"""Default of `images.max_decoded_bytes`."""

MissingImages = Literal["mask", "drop", "error"]


class Images(Section):
    """How images are resolved and decoded."""

    missing: MissingImages = "mask"
    size: Annotated[int, Field(ge=32, le=1024)] = 128
    max_pixels: Count = 64_000_000
    max_decoded_bytes: Count = MAX_DECODED_BYTES
