"""The snippets of docs/record-format.md, run in their order on a stored run."""

import re
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

ROOT = Path(__file__).parents[2]
STORED = Path(__file__).parent / "stored" / "demo"
RUN = Path("runs/20261122-174501-demo")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Variables that the snippets leave."""
    folder = tmp_path_factory.mktemp("snippets")
    shutil.copytree(STORED, folder / RUN)
    text = (ROOT / "docs" / "record-format.md").read_text()
    snippets = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(snippets) == 4
    variables = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec("\n".join(snippets), variables)
    return variables


def test_the_rows_are_all_there(found):
    with pa.ipc.open_stream(STORED / "requests.arrow") as stream:
        rows = sum(batch.num_rows for batch in stream)

    assert found["table"].num_rows == rows > 900


def test_pandas_has_a_figure_for_each_second(found):
    table = found["table"]
    first_s = min(table["intended_s"].to_pylist())
    in_first = [
        latency
        for at, latency in zip(
            table["intended_s"].to_pylist(), table["latency_s"].to_pylist(), strict=True
        )
        if at - first_s < 1
    ]

    assert found["p99_ms"].size >= 50
    assert min(in_first) * 1000 <= found["p99_ms"][0] <= max(in_first) * 1000


def test_duckdb_counts_the_errors(found):
    errors = [error for error in found["table"]["error"].to_pylist() if error is not None]

    assert sum(times for _, times, _, _ in found["errors"]) == len(errors)


def test_the_replicas_that_came_are_listed(found):
    seen = found["seen_s"]

    assert len(seen) >= 1
    assert (seen["lo"].fillna(0) <= seen["hi"]).all()
