"""What the command line prints: text, tables and JSON."""
