"""MLflow: the experiment, its runs, the registered model and its aliases."""
