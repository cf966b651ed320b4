"""The serving: the model that takes raw input."""
