"""Where shards lie: a folder, or a URL that came through a path."""

from __future__ import annotations

import re
from pathlib import Path

# A path turns s3://bucket into s3:/bucket. One letter would be a drive of Windows.
_URL = re.compile(r"((?:[a-z][a-z0-9+.\-]+::)*[a-z][a-z0-9+.\-]+):/+", re.IGNORECASE)
_LOGIN = re.compile(r"(://)[^/@:]*:[^/@]*@")


def as_url(place: str | Path) -> str | None:
    """The URL that a place was given as; None for a folder of this machine.

    Raises:
        ValueError: it holds a password, which would end in logs and settings.

    Example:
        >>> from pathlib import Path
        >>> from interlace.data.shards.place import as_url
        >>> as_url(Path("s3://bucket/clips")), as_url("clips"), as_url("file:///tmp/clips")
        ('s3://bucket/clips', None, None)
    """
    found = _URL.match(str(place))
    if found is None or found[1] in ("file", "local") or Path(place).exists():
        return None
    url = f"{found[1]}://{str(place)[found.end() :]}"
    if _LOGIN.search(url):
        raise ValueError(
            f"{without_login(url)}: a password in a URL ends in logs and settings; give it by the environment "
            "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for S3) or in ~/.config/fsspec/*.json"
        )
    return url


def without_login(text: str) -> str:
    """A text whose URLs show neither names with passwords nor what stands behind a question mark.

    Example:
        >>> from interlace.data.shards.place import without_login
        >>> without_login("no ftp://me:secret@host/a.tar?token=1 there")
        'no ftp://***@host/a.tar?*** there'
    """
    text = _LOGIN.sub(r"\1***@", text)
    return re.sub(r"(\w://[^\s?]*)\?[^\s]+", r"\1?***", text)


def whole_place(place: Path) -> str:
    """A place as it is found from anywhere: an absolute path, or the URL.

    Example:
        >>> from pathlib import Path
        >>> from interlace.data.shards.place import whole_place
        >>> whole_place(Path("memory://clips")), whole_place(Path("clips")) == str(Path.cwd() / "clips")
        ('memory://clips', True)
    """
    return as_url(place) or str(place.resolve())


def as_folder(place: str | Path) -> Path:
    """The folder of this machine that a place without a URL means."""
    return Path(re.sub(r"^(file|local):/+", "/", str(place)))
