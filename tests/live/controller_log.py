"""The controller's own log as the truth: when it says that things happened."""

import re
from datetime import datetime

import msgspec

from probes.dashboard import APPLICATIONS_PATH

_LINE = re.compile(
    r"\w+ (?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) controller \d+ -- (?P<text>.*)"
)


class ControllerLog:
    """Lines of the log of the controller that is there now, each with its Unix time.

    A controller that is killed and starts again writes another file.
    """

    def __init__(self, dashboard):
        self._dashboard = dashboard
        serve = msgspec.json.decode(dashboard.get(APPLICATIONS_PATH).body)
        info = serve["controller_info"]
        name = info["log_file_path"].lstrip("/")
        self._page = f"/api/v0/logs/file?node_id={info['node_id']}&filename={name}&lines=-1"

    def lines(self):
        text = self._dashboard.get(self._page).body.decode()
        found = []
        for line in text.splitlines():
            match = _LINE.match(line)
            if match:
                at = datetime.strptime(match["time"], "%Y-%m-%d %H:%M:%S,%f").astimezone()
                found.append((at.timestamp(), match["text"]))
        return found

    def times(self, pattern):
        """Times of all lines that contain the regular expression, in order."""
        return [at for at, text in self.lines() if re.search(pattern, text)]

    def decisions(self, word, key):
        app, _, name = key.partition("/")
        return self.times(rf"^{word} Deployment\(name='{name}', app='{app}'\)")
