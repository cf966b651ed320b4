"""TFRecord files and their index."""
