"""The model: features, head and training."""
