"""Options that a locustfile adds beside ours."""

import pytest
from locust.argument_parser import get_empty_argument_parser

from scalelag.plugin.locust_options import add_options


def test_an_option_of_a_name_that_is_ours_is_refused_by_name(capsys):
    parser = get_empty_argument_parser()
    add_options(parser)

    with pytest.raises(SystemExit) as ended:
        parser.add_argument("--seed", type=int, default=3)

    assert ended.value.code == 2
    assert (
        "the locustfile adds the option --seed, which scalelag has as well"
        in capsys.readouterr().err
    )


def test_so_it_is_if_the_locustfile_was_first(capsys):
    parser = get_empty_argument_parser()
    parser.add_argument("--seed", type=int, default=3)

    with pytest.raises(SystemExit) as ended:
        add_options(parser)

    assert ended.value.code == 2
    assert "the locustfile adds the option --seed" in capsys.readouterr().err


def test_options_of_other_names_are_added():
    parser = get_empty_argument_parser()
    add_options(parser)
    parser.add_argument("--region", default="north")

    assert parser.parse_args([]).region == "north"


@pytest.mark.parametrize(
    "flag", ["--data", "--gate", "--deployment", "--expect", "--path", "--wait"]
)
def test_an_empty_value_is_refused_by_its_option(capsys, flag):
    parser = get_empty_argument_parser()
    add_options(parser)

    with pytest.raises(SystemExit) as ended:
        parser.parse_args([flag, ""])

    assert ended.value.code == 2
    assert f"argument {flag}: this is empty" in capsys.readouterr().err


def test_an_empty_body_takes_away_that_of_a_locustfile():
    parser = get_empty_argument_parser()
    add_options(parser)

    assert parser.parse_args(["--json-body", ""]).json_body is None
