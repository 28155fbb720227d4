"""URLs of clusters: checked, and made fit for records."""

from urllib.parse import urlsplit

from scalelag.errors import UsageError


def check_url(text: str) -> str:
    """Return `text` if it is the URL of a server. Raises UsageError if it is not."""
    try:
        parts = urlsplit(text)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise UsageError(f'"{text}" is not a URL; write http://HOST:PORT')
    return text


def without_credentials(url: str) -> str:
    """`url` without user name and password, fit for records and reports."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host).geturl()
