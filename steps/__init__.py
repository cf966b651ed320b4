"""The steps, one file each: read the inputs, call the core, log, return."""

from steps.compare import compare
from steps.evaluate import evaluate
from steps.ingest import ingest
from steps.look_at_inputs import look_at_inputs
from steps.register import register
from steps.resolve_image_paths import resolve_image_paths
from steps.split import split
from steps.train import train
from steps.train_variant import train_variant
from steps.write_tfrecords import write_tfrecords

__all__ = [
    "compare",
    "evaluate",
    "ingest",
    "look_at_inputs",
    "register",
    "resolve_image_paths",
    "split",
    "train",
    "train_variant",
    "write_tfrecords",
]
