"""Rows of a record for other tools: apart, since reading takes no part of Arrow that this does."""

from pathlib import Path

import pyarrow.parquet as pq

from scalelag.record.output_file import writing_named
from scalelag.record.requests_file import SCHEMA
from scalelag.record.requests_reader import RequestBatches


def write_parquet(requests: Path, output: Path) -> tuple[int, str | None]:
    """Write all rows to a Parquet file with the same columns, in the order of writing.

    Returns their number, and the problem with the rest, if there is one. Raises RecordError if the
    record cannot be read or the file cannot be written.
    """
    batches, rows = RequestBatches(requests), 0
    with (
        writing_named(output) as file,
        pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows, batches.problem
