"""Facts about versions of Ray, and the words for what one lacks."""

import pytest

from scalelag.ray_versions import (
    CONTROLLER_HEALTH,
    is_at_least,
    is_before,
    lacking,
    needs_old_protobuf,
    version_of,
)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2.10.0", (2, 10)),
        ("2.9.3", (2, 9)),
        ("2.55", (2, 55)),
        ("3.0.0.dev0", (3, 0)),
        ("2.60.0rc1", (2, 60)),
        ("nightly", None),
        ("", None),
        (None, None),
    ],
)
def test_a_version_is_read(text, version):
    assert version_of(text) == version


def test_versions_are_compared_as_numbers():
    assert is_at_least("2.10.0", (2, 9))
    assert is_before("2.9.3", (2, 10))
    assert not is_before("2.10.0", (2, 10))


def test_of_an_unknown_version_nothing_is_said():
    assert not is_at_least(None, (2, 10))
    assert not is_before(None, (2, 10))
    assert lacking(None, "its clock", (2, 56)) == (
        "Ray does not tell its clock (it does since 2.56)"
    )


def test_what_a_version_lacks_is_said_with_the_version_that_has_it():
    assert lacking("2.55.1", "its clock", CONTROLLER_HEALTH) == (
        "Ray 2.55.1 does not tell its clock: Ray 2.56 and later do"
    )


@pytest.mark.parametrize(
    ("text", "needs"),
    [("2.34.0", False), ("2.44.1", True), ("2.56.0", True), ("2.58.0", False), (None, False)],
)
def test_serve_of_2_44_to_2_56_fails_with_protobuf_7(text, needs):
    assert needs_old_protobuf(text) is needs
