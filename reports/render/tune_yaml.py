"""Found settings as a part of a Serve config file."""

from typing import Any

import yaml

from reports.model.tune import TuneReport
from reports.render.tables.tune import changes_words, tune_headline
from scalelag.record.application_info import application_name


def tune_yaml(report: TuneReport) -> str:
    """The first choice as a part of a Serve config file; empty if that is the run's own settings."""
    if not report.found or report.own_is_first:
        return ""
    first = report.found[0]
    application = report.application or application_name(report.deployment, {})
    deployment = report.deployment[len(application) + 1 :]
    document: dict[str, Any] = {
        "applications": [
            {
                "name": application,
                "deployments": [
                    {"name": deployment, "autoscaling_config": first.autoscaling_config}
                ],
            }
        ]
    }
    head = f"# scalelag tune, {tune_headline(report)}: {changes_words(first)}\n"
    return head + yaml.safe_dump(document, sort_keys=False, allow_unicode=False)
