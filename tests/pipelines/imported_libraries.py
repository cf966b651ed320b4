"""The libraries that a run imports, imported: `command_process` forks every command from a process that has them."""

import gc
from importlib import import_module

from stacks.environment import prepare_environment

NAMES = (
    *("pandas", "pyarrow.parquet", "scipy.stats", "sklearn.metrics", "sklearn.model_selection", "PIL.Image"),
    *("tensorflow", "tensorflow_hub", "tensorflow_text", "optuna"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg"),
    *("mlflow.models", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store"),
    *("mlflow.store.model_registry.sqlalchemy_store", "mlflow.store.artifact.local_artifact_repo"),
    *("zenml.client", "zenml.zen_stores.sql_zen_store", "zenml.integrations.mlflow.model_registries"),
    *("zenml.orchestrators.local.local_orchestrator", "zenml.log_stores.artifact.artifact_log_store"),
)

prepare_environment()
for name in NAMES:
    import_module(name)
gc.freeze()  # no collection in a forked process walks through them
