"""The evaluation: metrics and figures."""
