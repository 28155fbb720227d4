"""`scalelag run --calibrate` on a real replica of known capacity."""

import json

import pytest

pytestmark = pytest.mark.long


@pytest.mark.timeout(600)
def test_the_rate_that_one_replica_serves_is_found_with_the_app_pinned_to_one(on_cluster):
    # One request at a time, 25 ms each: 40 a second, were there nothing but the sleep. Left to
    # itself the app scales up to 4 replicas. The higher the rate, the shorter is each stage.
    command = on_cluster(
        *("run", "--calibrate", "--slo", "p50<150ms", "--calibrate-hold", "2", "--warmup", "1"),
        *("--app", "batcher", "--app-arg", "max_batch_size=1", "--app-arg", "batch_time_s=0.025"),
        *("--app-arg", "upscale_delay_s=1", "--out", "runs"),
    )
    code, output = command.wait(500)

    assert code == 0, output
    (folder,) = command.out.iterdir()
    found = json.loads((folder / "calibration.json").read_bytes())
    assert found["deployments"] == ["default/Batcher"]
    assert 12 <= found["capacity_rps"] <= 44
    assert found["exceeded_rps"] <= 1.11 * found["capacity_rps"]
    assert f"Use it: --capacity-rps {found['capacity_rps']:g}" in output
    for stage in found["stages"]:
        report = json.loads((folder / stage["record"] / "report.json").read_bytes())
        assert report["deployments"]["default/Batcher"]["replicas"]["max"] == 1
