"""The applications in serve_apps/, without a cluster: arguments, files, documentation."""

import ast
import asyncio
import importlib
import inspect
import io
import pickle
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError
from ray import cloudpickle
from ray.serve import Application, Deployment
from ray.serve._private.api import call_user_app_builder_with_args_if_necessary
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import ServeDeploySchema

import serve_apps
from serve_apps import BUILT_IN, GRPC_SERVICERS
from serve_apps.batcher import Batcher, BatcherArgs
from serve_apps.cold_start import ColdStart, ColdStartArgs
from serve_apps.cpu_bound import CpuBound, CpuBoundArgs
from serve_apps.front import AppArgs, ModelArgs
from serve_apps.grpc_echo import GrpcEcho, GrpcEchoArgs
from serve_apps.llm_stream import LlmStream, LlmStreamArgs
from serve_apps.multiplexed import Multiplexed, MultiplexedArgs
from serve_apps.pipeline import FastArgs, Ingress, IngressArgs, PipelineArgs, SlowArgs, Stage
from serve_apps.scaling import ScalingArgs
from serve_apps.sick_health import SickHealth, SickHealthArgs
from serve_apps.sick_start import SickStart, SickStartArgs
from serve_apps.sleeper import Sleeper, SleeperArgs
from serve_apps.slow_start import SlowStart, SlowStartArgs
from serve_apps.starved import Starved, StarvedArgs
from serve_apps.websocket_echo import WebsocketEcho, WebsocketEchoArgs
from tools.app_arguments import page

# Ray 2.60 calls metrics_interval_s deprecated, and reads nothing of what shall replace it.
pytestmark = pytest.mark.filterwarnings("ignore:The `metrics_interval_s` field:DeprecationWarning")

FOLDER = Path(serve_apps.__file__).parent
DOC = FOLDER.parent / "docs" / "serve-apps-arguments.md"
ARGS: dict[str, type[BaseModel]] = {
    "sleeper": SleeperArgs,
    "cpu_bound": CpuBoundArgs,
    "cold_start": ColdStartArgs,
    "pipeline": PipelineArgs,
    "front": AppArgs,
    "slow_start": SlowStartArgs,
    "sick_start": SickStartArgs,
    "sick_health": SickHealthArgs,
    "starved": StarvedArgs,
    "llm_stream": LlmStreamArgs,
    "multiplexed": MultiplexedArgs,
    "batcher": BatcherArgs,
    "grpc_echo": GrpcEchoArgs,
    "websocket_echo": WebsocketEchoArgs,
}
NOT_APPS = {"__init__", "scaling", "truth"}


def builder(name: str) -> Any:
    module, _, attribute = BUILT_IN[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def build(name: str, args: dict[str, Any]) -> Application:
    """Build an application as `serve run` and the controller do."""
    return call_user_app_builder_with_args_if_necessary(builder(name), args)


def deployments(app: Application) -> dict[str, Deployment]:
    """The deployments of an application by name, the ingress first."""
    ingress = app._bound_deployment
    found = {ingress.name: ingress}
    for bound in ingress.init_args:
        if isinstance(bound, Application):
            found |= deployments(bound)
    return found


def test_every_application_is_built_in():
    modules = {path.stem for path in FOLDER.glob("*.py")} - NOT_APPS

    assert {name: f"serve_apps.{name}:app" for name in modules} == BUILT_IN


def test_every_application_has_typed_arguments_that_serve_recognises():
    annotations = {
        name: next(iter(inspect.signature(builder(name)).parameters.values())).annotation
        for name in BUILT_IN
    }

    assert annotations == ARGS


@pytest.mark.parametrize("name", BUILT_IN)
def test_an_unknown_argument_is_named(name: str):
    with pytest.raises(ValidationError, match=r"servce_time_s\n.*not permitted"):
        build(name, {"servce_time_s": "1"})


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        ("sleeper", "service_time_s", "-0.1"),
        ("sleeper", "service_time_s", "nan"),
        ("sleeper", "service_time_s", "fast"),
        ("sleeper", "num_cpus", -1),
        ("sleeper", "min_replicas", -1),
        ("sleeper", "max_replicas", 0),
        ("sleeper", "initial_replicas", -1),
        ("sleeper", "target_ongoing_requests", 0),
        ("sleeper", "max_ongoing_requests", 0),
        ("sleeper", "max_ongoing_requests", 2.5),
        ("sleeper", "metrics_interval_s", 0),
        ("sleeper", "look_back_period_s", 0),
        ("sleeper", "upscale_delay_s", -1),
        ("sleeper", "downscale_delay_s", "inf"),
        ("sleeper", "downscale_to_zero_delay_s", -1),
        ("sleeper", "graceful_shutdown_wait_loop_s", -1),
        ("sleeper", "graceful_shutdown_timeout_s", -1),
        ("cpu_bound", "work_ms", -1),
        ("cold_start", "init_time_s", -1),
        ("pipeline", "slow.service_time_s", 3601),
        ("front", "front.num_replicas", 0),
        ("front", "front.own_time_s", -1),
        ("front", "front.held_up_s", -1),
        ("front", "model.work_ms", -1),
        ("slow_start", "init_time_s", -1),
        ("sick_start", "failures", -2),
        ("sick_start", "init_time_s", -1),
        ("sick_health", "sick_replicas", "old"),
        ("sick_health", "mode", "sleep"),
        ("sick_health", "health_check_period_s", 0),
        ("sick_health", "health_check_timeout_s", 0),
        ("starved", "held_cpus", -1),
        ("starved", "release_after_s", -1),
        ("starved", "resources.gold", 0),
        ("llm_stream", "time_to_first_token_s", -1),
        ("llm_stream", "time_between_tokens_s", -1),
        ("llm_stream", "tokens", 0),
        ("llm_stream", "answer", " "),
        ("multiplexed", "load_time_s", -1),
        ("multiplexed", "max_models", 0),
        ("batcher", "batch_time_s", -1),
        ("batcher", "max_batch_size", 0),
        ("batcher", "batch_wait_timeout_s", -1),
    ],
)
def test_an_argument_out_of_bounds_is_named(name: str, argument: str, value: Any):
    with pytest.raises(ValidationError) as caught:
        build(name, {argument: value})

    assert [".".join(map(str, e["loc"])) for e in caught.value.errors()] == [argument]


@pytest.mark.parametrize(
    "args",
    [
        {"min_replicas": 5, "max_replicas": 4},
        {"initial_replicas": 5},
        {"min_replicas": 2, "initial_replicas": 1},
    ],
)
def test_replica_numbers_that_contradict_each_other_are_refused(args: dict[str, int]):
    with pytest.raises(ValueError, match="replicas"):
        build("sleeper", args)


def test_arguments_cannot_change_once_they_are_checked():
    with pytest.raises(ValidationError, match="frozen"):
        SleeperArgs().service_time_s = -1  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    "args",
    [
        ScalingArgs(initial_replicas=2, downscale_to_zero_delay_s=9),
        *(SleeperArgs(), CpuBoundArgs(), ColdStartArgs(), IngressArgs(), FastArgs(), SlowArgs()),
        *(
            ModelArgs(),
            SlowStartArgs(),
            SickStartArgs(),
            StarvedArgs(),
            LlmStreamArgs(),
            BatcherArgs(),
        ),
    ],
)
def test_serve_gets_every_scaling_argument(args: ScalingArgs):
    options = args.deployment_options()
    scaling, actor = options.pop("autoscaling_config"), options.pop("ray_actor_options")
    given = args.model_dump(include=set(ScalingArgs.model_fields), exclude_none=True)

    assert {**options, **actor, **scaling} == given
    # Serve ignores names that it does not know, so a misspelt one would do nothing.
    assert scaling.keys() <= AutoscalingConfig.model_fields.keys()


def test_an_argument_from_the_command_line_reaches_the_deployment():
    sleeper = deployments(build("sleeper", {"service_time_s": "0.5", "max_replicas": "7"}))

    assert sleeper["Sleeper"].init_args == (0.5, None)
    assert sleeper["Sleeper"]._deployment_config.autoscaling_config.max_replicas == 7


def test_cold_start_begins_with_no_replica():
    config = deployments(build("cold_start", {}))["ColdStart"]._deployment_config

    assert config.autoscaling_config.min_replicas == 0
    assert config.autoscaling_config.initial_replicas is None


def test_the_stages_of_the_pipeline_scale_by_their_own_arguments():
    built = deployments(build("pipeline", {"slow.max_replicas": "6", "fast": {"max_replicas": 3}}))

    limits = {n: d._deployment_config.autoscaling_config.max_replicas for n, d in built.items()}
    assert limits == {"Ingress": 2, "Fast": 3, "Slow": 6}
    assert (built["Fast"].init_args, built["Slow"].init_args) == ((0.1, None), (0.3, None))


def test_a_dotted_argument_keeps_the_other_defaults_of_its_group():
    args = PipelineArgs.model_validate({"slow.service_time_s": "0.5"})

    assert args == PipelineArgs(slow=SlowArgs(service_time_s=0.5))


def test_an_unknown_member_of_a_group_is_named():
    with pytest.raises(ValidationError, match=r"slow\.servce_time_s\n.*not permitted"):
        PipelineArgs.model_validate({"slow.servce_time_s": "1"})


def test_a_group_given_in_both_forms_is_refused():
    with pytest.raises(ValidationError, match=r"slow and slow\.service_time_s are both given"):
        PipelineArgs.model_validate({"slow": {"max_replicas": 2}, "slow.service_time_s": "1"})


def test_a_request_burns_the_cpu_time_it_was_given():
    replica = CpuBound.func_or_class(20.0)

    assert asyncio.run(replica())["cpu_ms"] >= 20.0


def test_a_request_says_how_long_it_slept():
    sleeper, cold_start = Sleeper.func_or_class(0.01, None), ColdStart.func_or_class(0.02, 0.0)

    assert asyncio.run(sleeper()) == {"slept_s": 0.01}
    assert asyncio.run(cold_start()) == {"slept_s": 0.02}


class WithoutThisPackage(pickle.Unpickler):
    """Loads as a replica on a node where serve_apps is not installed."""

    def find_class(self, module: str, name: str) -> Any:
        assert module.partition(".")[0] != "serve_apps", f"needs {module}.{name}"
        return super().find_class(module, name)


DEPLOYMENTS = [
    *(Sleeper, CpuBound, ColdStart, Stage, Ingress),
    *(SlowStart, SickStart, SickHealth, Starved),
    *(LlmStream, Multiplexed, Batcher, GrpcEcho, WebsocketEcho),
]


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_replicas_do_not_need_this_package(deployment: Deployment):
    sent = cloudpickle.dumps(deployment.func_or_class)

    assert callable(WithoutThisPackage(io.BytesIO(sent)).load())


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_file_deploys_what_the_import_path_deploys(name: str):
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")

    schema = ServeDeploySchema.model_validate(yaml.safe_load(text))
    [application] = schema.applications
    assert (application.name, application.route_prefix) == ("default", "/")
    assert application.import_path == BUILT_IN[name]
    assert schema.http_options.host == "127.0.0.1"
    functions = GRPC_SERVICERS.get(application.import_path, ())
    assert schema.grpc_options.grpc_servicer_functions == list(functions)
    assert ARGS[name].model_validate(application.args) == ARGS[name]()
    assert isinstance(build(name, application.args), Application)


def imported_packages(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {module.partition(".")[0] for module in plain} | {
        "serve_apps" if node.level else str(node.module).partition(".")[0]
        for node in nodes
        if isinstance(node, ast.ImportFrom)
    }


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_the_package_stands_alone(path: Path):
    with_serve = {"ray", "pydantic", "fastapi", "starlette"}
    allowed = {"serve_apps", *with_serve, *sys.stdlib_module_names}

    assert imported_packages(path) <= allowed


def test_the_table_of_applications_needs_no_ray():
    assert imported_packages(FOLDER / "__init__.py") <= sys.stdlib_module_names


def documented(section: str) -> dict[str, str]:
    """Argument to default, as the tables of one section of the document have them."""
    _, found, rest = DOC.read_text(encoding="utf-8").partition(f"\n## {section}\n")
    assert found, f"docs/serve-apps-arguments.md has no section {section}"
    body = rest.partition("\n## ")[0]
    return dict(re.findall(r"^\| `([\w.]+)` \| (\S+) \|", body, flags=re.MULTILINE))


def test_the_page_of_arguments_is_the_one_that_the_code_makes():
    assert DOC.read_text(encoding="utf-8") == page()


def own_defaults(model: type[BaseModel], prefix: str = "") -> dict[str, str]:
    """Argument to default, without those that the model leaves as it inherits them."""
    defaults: dict[str, str] = {}
    for name in inspect.get_annotations(model).keys() & model.model_fields.keys():
        default = model.model_fields[name].default
        if isinstance(default, BaseModel):
            defaults |= own_defaults(type(default), f"{name}.")
        else:
            defaults[prefix + name] = default_text(default)
    return defaults


def default_text(default: Any) -> str:
    if default is None or default == {}:
        return "unset"
    return default if isinstance(default, str) else f"{default:g}"


@pytest.mark.parametrize(("section", "model"), [("Scaling arguments", ScalingArgs), *ARGS.items()])
def test_the_document_has_every_argument_with_its_default(section: str, model: type[BaseModel]):
    assert documented(section) == own_defaults(model)


def described(model: type[BaseModel]) -> dict[str, bool]:
    return {name: bool(field.description) for name, field in model.model_fields.items()}


@pytest.mark.parametrize("model", [*ARGS.values(), IngressArgs, FastArgs, SlowArgs])
def test_every_argument_has_a_description(model: type[BaseModel]):
    assert all(described(model).values()), described(model)
