"""Figures and pages as files of a run."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow

from entailment.reporting.figures import name_data, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def log_figures(figures: "Mapping[str, Figure]") -> None:
    """Logs figures to the active run under their file names; each names the run's data, also as generated ones."""
    run = mlflow.active_run()
    tags = mlflow.get_run(run.info.run_id).data.tags if run else {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, figure in figures.items():
            name_data(figure, tags.get("dataset", ""), generated=tags.get("data.generated") == "true")
            save_figure(figure, Path(scratch) / name)
        if figures:
            mlflow.log_artifacts(scratch)


def log_page(page: str, name: str) -> None:
    """Logs an HTML page to the active run under a file name."""
    mlflow.log_text(page, name)
