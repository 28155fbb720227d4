"""The file of certificates for the dashboard, checked before anything is asked."""

import ssl
from pathlib import Path

from scalelag.errors import UsageError


def check_ca(path: str | None) -> None:
    """Raise UsageError if `path` is given, and is neither a file with a certificate nor a folder."""
    if path is None:
        return
    where = Path(path)
    try:
        if not where.is_dir():
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(where)
    except ssl.SSLError as error:
        raise UsageError(f"--dashboard-ca {path}: there is no certificate in PEM form.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"--dashboard-ca {path}: {reason}.") from error
