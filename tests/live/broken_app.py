"""An application whose only replica cannot start."""

from ray import serve


@serve.deployment
class Broken:
    def __init__(self):
        raise RuntimeError("no model here")


app = Broken.bind()
