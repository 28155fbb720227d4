"""ZIP archives that are made while they are sent."""

import io
import zipfile

from scalelag.plugin.web.zip_stream import zip_stream


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
