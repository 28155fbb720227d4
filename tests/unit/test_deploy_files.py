"""The container image and the manifests, by a linter and by Kubernetes' own schemas."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

import scalelag
from reports.model.formats import Format
from scalelag.options.catalog import OPTIONS
from scalelag.options.run_options import run_options
from serve_apps.sleeper import SleeperArgs
from tests.support.ray_service import RAY_SERVICE

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"
DOCKERFILES = sorted(path for path in DOCKER.iterdir() if path.suffix != ".dockerignore")
MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
DOCUMENTS = [one for path in MANIFESTS for one in yaml.safe_load_all(path.read_text("utf-8"))]
KUBERNETES = ("1.30", "1.34", "1.37")
BASE = re.compile(r"python:\d+\.\d+\.\d+-slim-\w+|rayproject/ray:\d+\.\d+\.\d+-py\d+")
SECRET = re.compile(r"token|secret|password|passwd|api.?key", re.IGNORECASE)


def of_kind(kind: str) -> Any:
    (found,) = (one for one in DOCUMENTS if one["kind"] == kind)
    return found


def instructions(dockerfile: Path = DOCKER / "Dockerfile") -> list[tuple[str, str]]:
    """Instructions of a Dockerfile, with their lines joined."""
    text = re.sub(r"\\\n\s*", "", dockerfile.read_text("utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


by_dockerfile = pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)


@by_dockerfile
def test_the_linter_finds_nothing_in_the_dockerfile(dockerfile: Path):
    hadolint = Path(sys.executable).parent / "hadolint"
    found = subprocess.run(
        [hadolint, "--no-color", dockerfile], capture_output=True, text=True, check=False
    )

    assert (found.returncode, found.stdout) == (0, "")


@by_dockerfile
def test_an_image_runs_as_nobody_special_on_a_pinned_base_and_holds_no_secret(dockerfile: Path):
    steps = instructions(dockerfile)
    bases = {rest.split()[0] for name, rest in steps if name == "FROM"}
    (user,) = (rest for name, rest in steps if name == "USER")

    assert [base for base in bases if not BASE.fullmatch(base)] == []
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert [rest for name, rest in steps if name in ("ENV", "ARG") and SECRET.search(rest)] == []


def test_the_image_of_the_load_is_the_command():
    assert [rest for name, rest in instructions() if name == "ENTRYPOINT"] == ['["scalelag"]']


@by_dockerfile
def test_the_build_sees_the_wheel_and_the_constraints_alone(dockerfile: Path):
    ignored = dockerfile.with_name(f"{dockerfile.name}.dockerignore").read_text("utf-8").split()
    copied = [
        source
        for name, rest in instructions(dockerfile)
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]

    assert ignored == ["*", *(f"!{source}" for source in copied)]
    assert set(copied) <= {"constraints.txt", "dist/scalelag-*.whl"}


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_manifest_fits_the_schemas_of_kubernetes(version):
    assert sorted(one["kind"] for one in DOCUMENTS) == [
        "Job", "PersistentVolumeClaim", "RayService", "Role", "RoleBinding", "ServiceAccount",
    ]  # fmt: skip
    for document in DOCUMENTS:
        if document["kind"] != "RayService":
            kubernetes_validate.validate(document, version, strict=True)
    for template in ray_pods():
        kubernetes_validate.validate(as_template(template), version, strict=True)


def ray_pods() -> list[Any]:
    """Templates of the pods of the RayService: the head's, and those of the workers."""
    cluster = of_kind("RayService")["spec"]["rayClusterConfig"]
    return [group["template"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def as_template(template: Any) -> Any:
    """A pod template as a document of its own, for which Kubernetes has a schema."""
    names = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "of-ray"}}
    return names | {"template": template}


def test_the_rayservice_has_the_fields_of_kuberay_and_no_other():
    jsonschema.validate(of_kind("RayService"), RAY_SERVICE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"serveConfigV2": {"applications": []}},
        {"serveConfig": ""},
        {
            "rayClusterConfig": {
                "headGroupSpec": {"template": {}, "rayStartParams": {"num-cpus": 0}}
            }
        },
        {"rayClusterConfig": {"workerGroupSpecs": []}},
        {"rayClusterConfig": {"headGroupSpec": {"template": {}}, "authOptions": {"mode": "on"}}},
    ],
)
def test_a_rayservice_that_kuberay_would_not_take_does_not_fit(wrong):
    service = of_kind("RayService")

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(service | {"spec": service["spec"] | wrong}, RAY_SERVICE)


def test_the_serve_config_of_the_rayservice_is_one_for_ray_and_for_its_application():
    config = yaml.safe_load(of_kind("RayService")["spec"]["serveConfigV2"])
    (app,) = config["applications"]

    ServeDeploySchema.model_validate(config)
    assert app["import_path"] == "serve_apps.sleeper:app"
    assert SleeperArgs.model_validate(app["args"]).max_replicas == 8


def test_the_rayservice_runs_the_version_of_its_image_and_the_job_is_aimed_at_it():
    service = of_kind("RayService")
    cluster = service["spec"]["rayClusterConfig"]
    (base,) = (rest for name, rest in instructions(DOCKER / "Dockerfile.ray") if name == "FROM")
    (container,) = of_kind("Job")["spec"]["template"]["spec"]["containers"]
    (token,) = container["env"]
    urls = [one for one in container["args"] if "http://" in one]
    images = {pod["spec"]["containers"][0]["image"] for pod in ray_pods()}

    assert base.startswith(f"rayproject/ray:{cluster['rayVersion']}-")
    assert images == {f"scalelag-ray:{scalelag.__version__}"}
    assert cluster["authOptions"]["secretName"] == token["valueFrom"]["secretKeyRef"]["name"]
    assert len(urls) == 2
    assert all(f"http://{service['metadata']['name']}-" in one for one in urls)


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
    given = [one.partition("=") for one in options]

    assert (command, container["image"]) == ("run", f"scalelag:{scalelag.__version__}")
    assert [flag for flag, _, _ in given if flag not in known] == []
    # Values are checked as those of a run: a report in a format that there is not ends the Job.
    values = {flag.removeprefix("--"): value for flag, _, value in given}
    typed = {"report": [values["report"]], "wait": float(values["wait"])}
    taken = run_options(values | typed)
    assert taken.reports == (Format.MARKDOWN,)
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
