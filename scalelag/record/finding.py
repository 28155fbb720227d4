"""What is wrong with a configuration, as found before a run and recorded in `run.json`."""

import msgspec

from scalelag.record.rows import DeploymentKey


class LintFinding(msgspec.Struct, frozen=True):
    """A setting that will do harm or nothing: `text` says why, in numbers, and what to change.

    `rule` is a stable name (docs/lint.md). `deployment` is None where it concerns no single one.
    """

    deployment: DeploymentKey | None
    rule: str
    text: str

    @property
    def line(self) -> str:
        """The finding with the deployment it is about."""
        return self.text if self.deployment is None else f"{self.deployment}: {self.text}"
