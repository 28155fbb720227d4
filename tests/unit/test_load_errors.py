"""Words for what a locustfile raised while it was loaded."""

import pytest

from scalelag.errors import UsageError
from scalelag.plugin.load_errors import load_error


def raised(code, module):
    """Run `code` as the file own.py of the module, and return what `load_error` says of it."""
    names = {"__name__": module, "UsageError": UsageError}
    try:
        exec(compile(code, "/home/me/own.py", "exec"), names)
    except BaseException as error:  # noqa: BLE001
        tb = error.__traceback__
        return load_error(error, tb.tb_next if tb else None)
    return None


@pytest.mark.parametrize(
    ("code", "module", "said"),
    [
        ("\n1 / 0", "own", "ZeroDivisionError: division by zero (in own.py, line 2)"),
        (
            "def f():\n  {}[1]\nf()",
            "own",
            "KeyError: 1 (in own.py, line 2, through own.py, line 3)",
        ),
        ("raise ValueError('none')", "locust.env", "ValueError: none (in Locust)"),
    ],
)
def test_what_was_raised_is_named_with_its_place(code, module, said):
    assert raised(code, module) == f"the locustfile cannot be loaded: {said}"


def test_errors_of_ours_are_their_words_and_bugs_and_exits_keep_what_python_shows():
    assert raised("raise UsageError('no such option')", "scalelag.x") == "no such option"
    assert raised("1 / 0", "scalelag.plugin.attach") is None
    assert raised("raise SystemExit(3)", "own") is None
