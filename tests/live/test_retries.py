"""Retries and waiting for room, on a real cluster."""

import msgspec
import pytest

pytestmark = pytest.mark.long

BRIEF = ["--steps", "2users:3s", "--drain", "0", "--out", "runs"]


def test_an_app_that_fails_to_deploy_at_first_is_deployed_again(on_cluster, tmp_path):
    """A deployment of one replica may fail to start three times before Serve gives it up."""
    state = tmp_path / "tries"
    state.write_bytes(b".")  # counts for the replica that would have started well
    command = on_cluster(
        *("run", "--app", "sick_start", "--app-arg", "failures=5"),
        *("--app-arg", f"state_file={state}", "--app-arg", "num_cpus=0.1"),
        *("--retries", "1", "--retry-wait", "1", *BRIEF),
    )
    code, output = command.wait()

    assert code == 0, output
    assert "attempt 1 of 2 failed through the target" in output
    (path,) = command.run_dirs
    (one,) = msgspec.json.decode((path / "run.json").read_bytes())["tries"]
    assert "sick_start: failure" in one["reason"]
    assert one["path"] is None
    assert any(
        "attempt 1 of this run failed" in warning for warning in command.report()["warnings"]
    )


def test_a_run_waits_for_room_that_is_there_and_names_what_is_short(on_cluster):
    """The session's cluster has 8 CPUs; Ray looks at what is free of them every 5 s."""
    sleeper = ["run", "--app", "sleeper", "--app-arg", "num_cpus=1", "--wait-for-room"]
    fits = on_cluster(*sleeper, "20", "--app-arg", "max_replicas=2", *BRIEF)
    fits_code, fits_output = fits.wait()
    short = on_cluster(*sleeper, "10", "--app-arg", "max_replicas=20", *BRIEF)
    code, output = short.wait()

    assert fits_code == 0, fits_output
    rows = (fits.run_dirs[0] / "evidence.jsonl").read_text().splitlines()
    snapshots = [row for row in map(msgspec.json.decode, rows) if row["type"] == "cluster"]
    assert snapshots
    assert sum(snapshots[0]["active"].values()) == 1
    assert 0 < snapshots[0]["free"]["CPU"] <= 8
    assert code == 3, output
    assert "No room: CPU: 19 needed for max_replicas of default/Sleeper, 7 free, 12 short" in output
    assert len(short.run_dirs) == 1
