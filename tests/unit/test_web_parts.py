"""Archives that are made while they are sent, and the report as a part of a page."""

import io
import sys
import zipfile
from pathlib import Path

from reports.render.html.report_page import render_lag_part
from scalelag.plugin.web.zip_stream import zip_stream

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))  # the hand-built analyses are theirs

import samples


def test_an_archive_holds_every_file_as_it_is_in_small_blocks(tmp_path):
    contents = {"run.json": b"{}", "empty": b"", "requests.arrow": bytes(range(256)) * 4096}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)

    blocks = list(zip_stream("a-run", [tmp_path / name for name in contents]))

    archive = zipfile.ZipFile(io.BytesIO(b"".join(blocks)))
    assert archive.testzip() is None
    assert {name: archive.read(name) for name in archive.namelist()} == {
        f"a-run/{name}": data for name, data in contents.items()
    }
    assert max(map(len, blocks)) < 300_000


def test_text_from_outside_stays_text():
    part = render_lag_part(samples.busy().report)

    assert "<script" not in part.lower()
    assert "[red]x[/red]&lt;script&gt;" in part
    assert "\x1b" not in part
    assert "\u202e" not in part
