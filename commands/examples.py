"""How examples stand below the help of a command."""


def examples(*lines: str, title: str = "Examples") -> str:
    """A paragraph of `python run_pipeline.py LINE`; the mark at its top keeps click from wrapping it."""
    return "\n".join(["\b", f"{title}:", *(f"  python run_pipeline.py {line}".rstrip() for line in lines)])
