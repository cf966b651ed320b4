"""The folder that the registered model consists of: encoders, head and how they are put together."""

import json
import shutil
from pathlib import Path
from typing import Final

from entailment.configuration import Configuration
from entailment.encoders.handles import resolve_handle
from entailment.files import written_aside
from entailment.model.training import TrainedHead

SETTINGS: Final = "predictor.json"


def write_package(folder: Path, head: TrainedHead, configuration: Configuration, encoders: Path) -> Path:
    """Writes everything that prediction needs into `folder`; it then works by itself, anywhere.

    `encoders` is where the configured encoders are found or built; those that were trained come from the head.
    """
    text = configuration.encoders.text
    handles = head.tuned(configuration.encoders).handles(configuration.inputs)
    with written_aside(folder) as aside:
        aside.mkdir()
        for name, handle in handles.items():
            shutil.copytree(resolve_handle(handle, encoders), aside / name)
        head.model.save(aside / "head.keras")
        settings = {
            "inputs": configuration.inputs,
            "image_size": configuration.images.size,
            "max_pixels": configuration.images.max_pixels,
            "max_text_bytes": configuration.ingest.max_text_bytes,
            "sequence_length": text.sequence_length,
            "text_output": text.output,
            "pair": text.encode == "pair",
        }
        (aside / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return folder
