"""An application as deployed: part of `run.json`."""

from collections.abc import Mapping

import msgspec

from scalelag.record.rows import DeploymentKey


class ApplicationInfo(msgspec.Struct, frozen=True):
    """Deployments of an application, and who calls whom, as Serve tells it.

    `ingress` takes the requests for paths that begin with `route_prefix`. `calls` has the deployments
    that each one holds a handle of. Both are empty before Ray 2.53, which does not tell, and `reason`
    says so.
    """

    deployments: tuple[DeploymentKey, ...]
    route_prefix: str | None = None
    ingress: DeploymentKey | None = None
    calls: dict[DeploymentKey, tuple[DeploymentKey, ...]] = {}
    reason: str | None = None

    def callers(self, key: DeploymentKey) -> tuple[DeploymentKey, ...]:
        """Deployments that call `key`, in the order of the application's."""
        return tuple(one for one in self.deployments if key in self.calls.get(one, ()))

    def with_calls_of(self, later: "ApplicationInfo") -> "ApplicationInfo":
        """Return it with the calls, the ingress and the deployments of `later` added."""
        callers = dict.fromkeys([*self.calls, *later.calls])
        calls = {
            one: tuple(dict.fromkeys([*self.calls.get(one, ()), *later.calls.get(one, ())]))
            for one in callers
        }
        return msgspec.structs.replace(
            self,
            deployments=tuple(dict.fromkeys([*self.deployments, *later.deployments])),
            ingress=self.ingress or later.ingress,
            calls=calls,
        )


def application_name(key: DeploymentKey, applications: Mapping[str, ApplicationInfo]) -> str:
    """Name of the application of `key`; both names may have slashes in them.

    Of a deployment that none of them has, it is the longest name that fits, or what stands before the
    first slash.
    """
    for name, app in applications.items():
        if key in app.deployments:
            return name
    fits = (name for name in applications if key.startswith(f"{name}/"))
    return max(fits, key=len, default=key.partition("/")[0])
