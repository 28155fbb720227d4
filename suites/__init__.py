"""Ray's own scaling tests as runs of scalelag: a folder a suite, with its smoke and its full size."""
