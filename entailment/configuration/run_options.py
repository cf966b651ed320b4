"""What a configuration file tells ZenML itself."""

from typing import Any

from entailment.configuration.section import Section


class RunOptions(Section):
    """ZenML's own keys, at the top of a file; what stands inside them is checked in `pipelines/`."""

    enable_cache: bool | None = None
    tags: list[Any] | None = None
    settings: dict[str, Any] | None = None
    steps: dict[str, Any] | None = None
    model: dict[str, Any] | None = None
    run_name: str | None = None
    retry: dict[str, Any] | None = None
    extra: dict[str, Any] | None = None
    enable_step_logs: bool | None = None
    enable_artifact_metadata: bool | None = None
    enable_artifact_visualization: bool | None = None
    environment: dict[str, Any] | None = None
    secrets: list[str] | None = None
    substitutions: dict[str, str] | None = None
