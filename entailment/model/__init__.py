"""The model: heads, losses and training."""
