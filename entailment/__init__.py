"""Multimodal entailment: the core library. It knows nothing of ZenML, MLflow or the command line."""
