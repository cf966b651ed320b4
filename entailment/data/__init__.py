"""The data: sources, schema, images, split and records."""
