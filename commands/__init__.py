"""The commands of the command line, by theme; nothing heavy is imported before a command runs."""
