"""The stepped locustfile with a web page that knows no tabs of others, as a later Locust's may."""

import shutil
import tempfile
from pathlib import Path

from locust import events


@events.init.add_listener
def without_tabs(environment, **_rest):
    app = environment.web_ui.app
    folder = Path(tempfile.mkdtemp())
    shutil.copy(Path(app.template_folder, "index.html"), folder)
    (folder / "assets").mkdir()
    (folder / "assets" / "src.js").write_text("// no tabs\n")
    app.template_folder = str(folder)


# After the listener above, so that ours find what it has left.
from locustfiles.stepped import SteppedUser, StepShape  # noqa: E402

__all__ = ["StepShape", "SteppedUser"]
