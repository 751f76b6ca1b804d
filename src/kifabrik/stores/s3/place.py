"""Where objects lie in an S3 store, and how it is reached. Credentials are read, never shown."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kifabrik.errors import UsageError

_URL_HINT = 'Write url = "s3://bucket/prefix" in [objects] of factory.toml.'


@dataclass(frozen=True)
class S3Place:
    """A bucket, and a prefix within it.

    Args:
        bucket: Its name.
        prefix: Before every key, without slashes at its ends; may be empty.
        endpoint: Base URL of the store; empty for Amazon's of the region.
        region: Goes into signatures.
        path_style: Whether the bucket stands in the path and not in the name of the host.
        ca: PEM file of authorities to trust; empty for the system's.
        credentials: File in the form of `~/.aws/credentials`; None for what the environment, that
            file, or the machine's role say.
        profile: Section of that file; empty for the default one.
        outside: Base URL under which clients and nodes reach the store; empty for `endpoint`.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    path_style: bool = True
    ca: str = ""
    credentials: Path | None = None
    profile: str = ""
    outside: str = ""

    @property
    def named(self) -> str:
        """How people call it: `s3://bucket/prefix at https://…`."""
        where = f" at {self.endpoint}" if self.endpoint else f" in {self.region}"
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/") + where

    def key(self, key: str) -> str:
        """The store's key of one of ours."""
        return f"{self.prefix}/{key}" if self.prefix else key

    def ours(self, key: str) -> str:
        """Our key of one of the store's."""
        return key[len(self.prefix) + 1 :] if self.prefix else key


def parse_s3_url(url: str) -> tuple[str, str]:
    """Split `s3://bucket/prefix` into bucket and prefix.

    Raises:
        UsageError: It is none.
    """
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment or "@" in parts.netloc:
        raise UsageError(f"{url!r} names no bucket", hint=_URL_HINT)
    return parts.netloc, parts.path.strip("/")
