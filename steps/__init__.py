"""The steps, one file each: read the inputs, call the core, log, return."""

from steps.compare import compare
from steps.crossval import crossval
from steps.drift import drift
from steps.encode import encode
from steps.evaluate import evaluate
from steps.fold import fold
from steps.ingest import ingest
from steps.judge import judge
from steps.look import look
from steps.register import register
from steps.resolve_image_paths import resolve_image_paths
from steps.search import search
from steps.split import split
from steps.train import train
from steps.trial import trial
from steps.write_tfrecords import write_tfrecords

__all__ = [
    "compare",
    "crossval",
    "drift",
    "encode",
    "evaluate",
    "fold",
    "ingest",
    "judge",
    "look",
    "register",
    "resolve_image_paths",
    "search",
    "split",
    "train",
    "trial",
    "write_tfrecords",
]
