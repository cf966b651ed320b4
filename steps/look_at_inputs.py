"""Step 0 of a scheduled run: what lies on the disk when the run begins, not when the schedule was made."""

from typing import Annotated

from zenml import step

from entailment.configuration import Configuration
from entailment.input_state import input_state
from materializers.report import ReportMaterializer


@step(enable_cache=False, output_materializers={"encoder_state": ReportMaterializer})
def look_at_inputs(
    configuration: Configuration,
) -> tuple[
    Annotated[str, "content"],
    Annotated[str, "images_state"],
    Annotated[dict[str, str], "encoder_state"],
    Annotated[str, "preprocessor_state"],
]:
    """Fingerprints of data set, images and encoders; never cached, so that the steps after it may be."""
    state = input_state(configuration)
    return state.content, state.images, state.encoders, state.preprocessor
