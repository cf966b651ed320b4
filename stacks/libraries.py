"""ZenML and MLflow as every process of ours has them: quiet, and without work that no run needs."""

import importlib.metadata
from functools import cache

from stacks.logs import quiet_libraries
from tracking.database import wait_for_locked_databases


def prepare_libraries(*, told: bool = False) -> None:
    """Sets up what the libraries log and spares this process what they need not do; to be called before a run.

    `told` as in `quiet_libraries`.
    """
    quiet_libraries(told=told)
    wait_for_locked_databases()
    _take_shortcuts()


def _take_shortcuts() -> None:
    """Spares this process what a run would be seconds in.

    ZenML lists all installed packages for each table among the artifacts, MLflow for each model: once is enough.
    ZenML imports scikit-learn before every run to register how its models are stored, which none of our artifacts
    is. MLflow loads every model that is logged, to answer its example, and prints what we print of a registered one.
    """
    import importlib_metadata
    import mlflow.models.utils
    import mlflow.tracking._model_registry.fluent
    from zenml.integrations.registry import integration_registry

    listed = cache(importlib.metadata.packages_distributions)
    for library in (importlib.metadata, importlib_metadata):
        library.packages_distributions = lambda: dict(listed())
    integration_registry.integrations.pop("sklearn", None)
    mlflow.models.utils._validate_serving_input = lambda **_: None
    mlflow.tracking._model_registry.fluent.eprint = lambda *_, **__: None
