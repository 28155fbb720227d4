"""Names of deployments in the live line of a run."""

from collections import Counter
from collections.abc import Iterable

from scalelag.record.rows import DeploymentKey


def short_names(keys: Iterable[DeploymentKey]) -> dict[DeploymentKey, str]:
    """Names of deployments without their application, where no other application has one like it.

    Where one of the names has a slash in it, it is not told where the application's ends.
    """
    names = {key: key.rpartition("/")[2] if key.count("/") == 1 else key for key in keys}
    counts = Counter(names.values())
    return {key: name if counts[name] == 1 else key for key, name in names.items()}
