"""The container image and the manifests, by a linter and by Kubernetes' own schemas."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

import scalelag
from scalelag.options.catalog import OPTIONS

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
DOCUMENTS = [one for path in MANIFESTS for one in yaml.safe_load_all(path.read_text("utf-8"))]
KUBERNETES = ("1.30", "1.34", "1.37")
SECRET = re.compile(r"token|secret|password|passwd|api.?key", re.IGNORECASE)


def of_kind(kind: str) -> Any:
    (found,) = (one for one in DOCUMENTS if one["kind"] == kind)
    return found


def instructions() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile, with their lines joined."""
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text("utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def test_the_linter_finds_nothing_in_the_dockerfile():
    hadolint = Path(sys.executable).parent / "hadolint"
    found = subprocess.run(
        [hadolint, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False
    )

    assert (found.returncode, found.stdout) == (0, "")


def test_the_image_runs_as_nobody_special_on_a_pinned_base_and_holds_no_secret():
    steps = instructions()
    bases = {rest.split()[0] for name, rest in steps if name == "FROM"}

    assert [
        base for base in bases if not re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", base)
    ] == []
    assert [rest for name, rest in steps if name == "USER"] == ["10001:10001"]
    assert [rest for name, rest in steps if name in ("ENV", "ARG") and SECRET.search(rest)] == []
    assert [rest for name, rest in steps if name == "ENTRYPOINT"] == ['["scalelag"]']


def test_the_build_sees_the_wheel_and_the_constraints_alone():
    ignored = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text("utf-8").split()
    copied = [
        source
        for name, rest in instructions()
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]

    assert ignored == ["*", *(f"!{source}" for source in copied)]
    assert (ROOT / "constraints.txt").is_file()


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_manifest_fits_the_schemas_of_kubernetes(version):
    assert sorted(one["kind"] for one in DOCUMENTS) == [
        "Job", "PersistentVolumeClaim", "Role", "RoleBinding", "ServiceAccount",
    ]  # fmt: skip
    for document in DOCUMENTS:
        kubernetes_validate.validate(document, version, strict=True)


def test_a_manifest_with_a_misspelt_field_does_not_fit():
    job = yaml.safe_load(yaml.safe_dump(of_kind("Job")))
    job["spec"]["template"]["spec"]["containers"][0]["volumeMount"] = []

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, KUBERNETES[-1], strict=True)


def test_the_job_is_the_image_with_options_that_there_are_and_no_token_written_down():
    pod = of_kind("Job")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    command, *options = container["args"]
    known = {option.flag for option in OPTIONS} | {"--host"}

    assert (command, container["image"]) == ("run", f"scalelag:{scalelag.__version__}")
    assert [one for one in options if one.partition("=")[0] not in known] == []
    assert not SECRET.search(str(container["args"]))
    assert [list(one) for one in container["env"]] == [["name", "valueFrom"]]
    uid = pod["securityContext"]["runAsUser"]
    assert ("USER", f"{uid}:{uid}") in instructions()
    assert container["securityContext"]["readOnlyRootFilesystem"]


def test_the_parts_name_each_other():
    pod = of_kind("Job")["spec"]["template"]["spec"]
    claim = pod["volumes"][0]["persistentVolumeClaim"]["claimName"]

    assert pod["serviceAccountName"] == of_kind("ServiceAccount")["metadata"]["name"]
    assert claim == of_kind("PersistentVolumeClaim")["metadata"]["name"]
    assert of_kind("RoleBinding")["roleRef"]["name"] == of_kind("Role")["metadata"]["name"]


def test_the_role_reads_no_secret_and_has_no_wildcard():
    rules = of_kind("Role")["rules"]

    assert not re.search(r"\*|secrets", str(rules))
