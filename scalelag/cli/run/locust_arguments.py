"""Arguments of `scalelag run` that are Locust's: known options, names of users, all after `--`."""

from collections.abc import Iterator, Sequence

from scalelag.errors import UsageError

PASSED_ON = "--locust"
"""Option of `scalelag run` whose values are handed to Locust as they are."""

_FLAGS = frozenset(
    {
        *("--autostart", "--class-picker", "--csv-full-history", "--enable-rebalancing"),
        *("--equal-weights", "--json", "--only-summary", "--otel", "--print-stats"),
        *("--reset-stats", "--skip-log-setup", "--web-login"),
    }
)
_WITH_VALUE = frozenset(
    {
        *("--autoquit", "--csv", "--exit-code-on-error", "--html", "--json-file", "--logfile"),
        *("--loglevel", "--profile", "--run-time", "--spawn-rate", "--stop-timeout", "--tls-cert"),
        *("--tls-key", "--users", "--web-base-path", "--web-host", "--web-port"),
        *("-L", "-P", "-r", "-s", "-t", "-u"),
    }
)
_WITH_VALUES = frozenset({"--config-users", "--exclude-tags", "--tags", "-E", "-T"})
# Of `scalelag run` itself, by what stands there in their place.
_OURS = {
    "-f": "-f before the --",
    "--locustfile": "-f before the --",
    "-H": "--host before the --",
    "--host": "--host before the --",
    "--processes": "--processes before the --",
    "--headless": "nothing: it is headless without --web",
    "--headful": "--web",
    "--master": "--processes or --workers-on-ray",
    "--worker": "plain Locust (docs/scale-out.md)",
    "--expect-workers": "--processes or --workers-on-ray",
    "--master-host": "--master-host before the --",
    "--master-port": "--master-host HOST:PORT before the --",
    "--master-bind-host": "--master-host before the --",
    "--master-bind-port": "--master-host HOST:PORT before the --",
}


def with_passed_on(arguments: Sequence[str]) -> list[str]:
    """Return `arguments` in which those for Locust are values of `--locust`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    passed = [*_known(arguments[:end]), *((True, one) for one in arguments[end + 1 :])]
    return [f"{PASSED_ON}={one}" if is_locusts else one for is_locusts, one in passed]


def _known(arguments: Sequence[str]) -> Iterator[tuple[bool, str]]:
    """Yield each argument, and whether it is Locust's."""
    taken = 0  # values that the option before still takes; -1: all up to the next option
    for argument in arguments:
        is_option = argument.startswith("-") and argument != "-"
        if taken and not (is_option and taken < 0):
            taken -= taken > 0
            yield True, argument
            continue
        name, equals, _ = argument.partition("=")
        # "-L=INFO" is nobody's; "-LINFO" is left to Locust's own parser, after "--".
        taken = 0
        if name in _WITH_VALUE:
            taken = 0 if equals else 1
        elif name in _WITH_VALUES:
            taken = 0 if equals else -1
        elif name not in _FLAGS:
            yield False, argument
            continue
        yield True, argument


def check_passed_on(arguments: Sequence[str]) -> None:
    """Raise UsageError for an argument for Locust that `scalelag run` itself sets."""
    for argument in arguments:
        name = argument.partition("=")[0]
        if name in _OURS:
            raise UsageError(f"{name} is not passed on to Locust: give {_OURS[name]}.")


def users_and_options(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names of users with which `arguments` begin, and the rest."""
    count = next((at for at, one in enumerate(arguments) if one.startswith("-")), len(arguments))
    return list(arguments[:count]), list(arguments[count:])


RUN_OPTION = "--run-option"
"""Option of `scalelag suite` whose values are arguments of `scalelag run`."""

_OF_SUITE = frozenset({"--smoke", "--list", "--help"})


def with_run_options(arguments: Sequence[str]) -> list[str]:
    """Return `arguments` in which those for `scalelag run` are values of `--run-option`.

    The name of the suite is the first of them that is not an option of `suite` itself.
    """
    ours = [one for one in arguments if one in _OF_SUITE]
    rest = [one for one in arguments if one not in _OF_SUITE]
    name = [rest.pop(0)] if rest and not rest[0].startswith("-") else []
    return [*ours, *name, *(f"{RUN_OPTION}={one}" for one in rest)]
