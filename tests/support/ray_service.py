"""A JSON schema of the fields of a RayService that are used here, in our own words.

Names, types and required fields are facts of KubeRay's API reference (v1.6.2, ray.io/v1), where a field
that is not known is dropped without a word. Pod templates are left to Kubernetes' schemas.
"""

from typing import Any


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_POD = {"type": "object"}
_START = {"type": "object", "additionalProperties": _TEXT}
_AUTH = _object(mode={"enum": ["disabled", "token"]}, secretName=_TEXT)
_HEAD = _object(("template",), rayStartParams=_START, template=_POD)
_WORKERS = _object(
    ("groupName", "maxReplicas", "minReplicas", "template"),
    groupName=_TEXT,
    replicas=_COUNT,
    minReplicas=_COUNT,
    maxReplicas=_COUNT,
    rayStartParams=_START,
    template=_POD,
)
_CLUSTER = _object(
    ("headGroupSpec",),
    rayVersion=_TEXT,
    authOptions=_AUTH,
    headGroupSpec=_HEAD,
    workerGroupSpecs={"type": "array", "items": _WORKERS},
)
RAY_SERVICE = _object(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayService"},
    metadata=_object(("name",), name=_TEXT),
    spec=_object(serveConfigV2=_TEXT, rayClusterConfig=_CLUSTER),
)
