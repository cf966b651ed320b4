"""The pipelines: each reads as the list of its steps."""
