"""Variants, folds and searches: what is trained to be compared."""
