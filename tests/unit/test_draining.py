"""Draining period of an ingress, by the environment of the cluster."""

import pytest

from scalelag.cluster.draining import known_drain_s

PERIOD = "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        (None, None),
        ({}, 0.0),
        ({"RAY_SERVE_ENABLE_HA_PROXY": "0"}, 0.0),
        ({"RAY_SERVE_ENABLE_HA_PROXY": "1"}, 30.0),
        ({"RAY_SERVE_ENABLE_DIRECT_INGRESS": "1"}, 30.0),
        ({"RAY_SERVE_ENABLE_HA_PROXY": "1", PERIOD: "5"}, 5.0),
        ({"RAY_SERVE_ENABLE_HA_PROXY": "1", PERIOD: "soon"}, 30.0),
        ({PERIOD: "5"}, 0.0),
    ],
)
def test_the_period_counts_where_balancers_reach_replicas(environ, seconds):
    assert known_drain_s(environ) == seconds
