"""How each artifact is stored: open formats only."""
