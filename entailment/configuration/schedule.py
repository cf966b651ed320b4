"""How the steps of a scheduled run are run."""

from typing import Annotated

from pydantic import Field, SecretStr

from entailment.configuration.section import Count, Section


class Schedule(Section):
    """How the steps of a scheduled run are run; `alert_url` is hidden wherever the configuration is shown."""

    retries: Annotated[int, Field(ge=0, le=10)] = 2
    retry_delay: Annotated[int, Field(ge=0)] = 60
    step_timeout: Count = 14_400
    alert_url: SecretStr | None = None
