"""The steps, one file each: read the inputs, call the core, log, return."""

from steps.compare import compare
from steps.drift import drift
from steps.evaluate import evaluate
from steps.find_new_data import find_new_data
from steps.ingest import ingest
from steps.judge import judge
from steps.register import register
from steps.resolve_image_paths import resolve_image_paths
from steps.split import split
from steps.train import train
from steps.train_variant import train_variant
from steps.write_tfrecords import write_tfrecords

__all__ = [
    "compare",
    "drift",
    "evaluate",
    "find_new_data",
    "ingest",
    "judge",
    "register",
    "resolve_image_paths",
    "split",
    "train",
    "train_variant",
    "write_tfrecords",
]
