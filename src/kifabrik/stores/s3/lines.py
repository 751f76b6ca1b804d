"""Lines to an S3 store through botocore: one client, and requests whose body is bound by its digest."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import botocore.session
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import SharedCredentialProvider
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from kifabrik.stores.s3.place import S3Place

_CONNECT_S: Final = 5
_SILENT_S: Final = 30
_TRIES: Final = 3
_LINES: Final = 64
_OWN_S: Final = 60
_REFUSED: Final = 300
_THERE_ALREADY: Final = 412
_NOT_IMPLEMENTED: Final = 501
HASH_HEADER: Final = "x-amz-content-sha256"


class _Bound(S3SigV4QueryAuth):  # type: ignore[misc]  # botocore has no types
    """Signature V4 in the query, over the digest of the body that will be sent.

    With `UNSIGNED-PAYLOAD`, which is usual there, whoever has the URL could store what they like.
    """

    def payload(self, request: AWSRequest) -> str:
        return str(request.headers[HASH_HEADER])


class Lines:
    """Speaks to one store; usable from several threads.

    Args:
        place: Where it is.
    """

    def __init__(self, place: S3Place) -> None:
        self.place = place
        self.conditional = True
        """Whether the store is asked to leave an object that is there; some do not know how."""
        verify = place.ca or ssl.get_default_verify_paths().cafile or True
        session = botocore.session.Session(profile=None if place.credentials else place.profile or None)
        if place.credentials is not None:
            _take_credentials(session, place.credentials, place.profile or "default")
        self._credentials = session.get_credentials()
        self.client: Any = session.create_client(
            "s3",
            region_name=place.region,
            endpoint_url=place.endpoint or None,
            verify=verify,
            config=Config(
                signature_version="s3v4",
                connect_timeout=_CONNECT_S,
                read_timeout=_SILENT_S,
                max_pool_connections=_LINES,
                retries={"mode": "standard", "total_max_attempts": _TRIES},
                s3={"addressing_style": "path" if place.path_style else "virtual", "payload_signing_enabled": True},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        self._http = URLLib3Session(
            verify=verify,
            proxies=get_environ_proxies(self.client.meta.endpoint_url),
            timeout=(_CONNECT_S, _SILENT_S),
            max_pool_connections=_LINES,
        )

    def close(self) -> None:
        """Hang up."""
        self.client.close()
        self._http.close()

    def bound_put(
        self, key: str, digest: str, size: int, lasts_s: int, *, outside: bool
    ) -> tuple[str, dict[str, str]]:
        """Sign a PUT that stores the body of this digest under a key, and nothing else.

        Args:
            key: The store's key.
            digest: SHA-256 of the body in hex.
            size: Its bytes.
            lasts_s: Seconds the signature is good for.
            outside: Whether the URL is for clients and nodes.

        Returns:
            The URL, and the headers that must be sent with it.
        """
        headers = {HASH_HEADER: digest, "content-length": str(size)}
        if self.conditional:
            headers["if-none-match"] = "*"
        return self._signed(_Bound, "PUT", key, headers, lasts_s, outside=outside), headers

    def get_url(self, key: str, lasts_s: int) -> str:
        """Sign a GET of an object, whole or in parts, for clients and nodes."""
        return self._signed(S3SigV4QueryAuth, "GET", key, {}, lasts_s, outside=True)

    def put(
        self, key: str, digest: str, size: int, body: BinaryIO | bytes, added: Mapping[str, str] | None = None
    ) -> None:
        """Store a body; the store itself compares its digest. One that is there already is left.

        Args:
            key: The store's key.
            digest: SHA-256 of the body in hex.
            size: Its bytes.
            body: It; a file is sent from where it stands.
            added: Headers that were not signed, to see what the store makes of them.

        Raises:
            ClientError: The store refuses.
        """
        answer = self._send_put(key, digest, size, body, added or {})
        if answer.status_code == _NOT_IMPLEMENTED and self.conditional and not added:
            self.conditional = False
            if not isinstance(body, bytes):
                body.seek(0)
            answer = self._send_put(key, digest, size, body, {})
        if answer.status_code >= _REFUSED and answer.status_code != _THERE_ALREADY:
            raise refusal("PutObject", answer.status_code, answer.headers, answer.content)

    def _send_put(self, key: str, digest: str, size: int, body: BinaryIO | bytes, added: Mapping[str, str]) -> Any:
        url, headers = self.bound_put(key, digest, size, _OWN_S, outside=False)
        return self._http.send(AWSRequest("PUT", url, headers={**headers, **added}, data=body).prepare())

    def _signed(
        self, signer: type[Any], method: str, key: str, headers: Mapping[str, str], lasts_s: int, *, outside: bool
    ) -> str:
        if self._credentials is None:
            raise NoCredentialsError
        request = AWSRequest(method, self._url(key, outside=outside), headers=dict(headers))
        frozen = self._credentials.get_frozen_credentials()
        signer(frozen, "s3", self.place.region, expires=lasts_s).add_auth(request)
        return str(request.url)

    def _url(self, key: str, *, outside: bool) -> str:
        at = (outside and self.place.outside) or self.place.endpoint or self.client.meta.endpoint_url
        scheme, _, host = at.rstrip("/").partition("://")
        if self.place.path_style:
            return f"{scheme}://{host}/{self.place.bucket}/{key}"
        return f"{scheme}://{self.place.bucket}.{host}/{key}"


def _take_credentials(session: Any, file: Path, profile: str) -> None:
    """Take what a file says, whatever the environment or the machine say."""
    found = SharedCredentialProvider(str(file), profile).load()
    if found is None:
        raise NoCredentialsError
    session.set_credentials(found.access_key, found.secret_key, found.token)


def refusal(operation: str, status: int, headers: Mapping[str, str], body: bytes) -> ClientError:
    """Return what botocore would have raised for an answer."""
    text = body.decode(errors="replace")
    _, _, rest = text.partition("<Code>")
    code = rest.partition("</Code>")[0][:80] or str(status)
    meta = {"HTTPStatusCode": status, "HTTPHeaders": {name.lower(): value for name, value in headers.items()}}
    return ClientError({"Error": {"Code": code, "Message": ""}, "ResponseMetadata": meta}, operation)
