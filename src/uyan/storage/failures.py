"""What went wrong with a remote file, in words that a user can act on, and whether it may pass by itself.

The packages behind the protocols raise exceptions of their own families; they are told apart by the names of their
classes, so that none of them has to be there. What a service said is not repeated.
"""

from uyan.errors import AccessError, MissingFileError, StorageError
from uyan.storage.location import Remote

BUCKETS = ("s3", "s3a", "gs", "gcs")
"""Protocols whose URLs begin with a bucket."""
_DENIED = {"PermissionError", "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError",
           "ProfileNotFound", "TokenRetrievalError", "UnauthorizedSSOTokenError"}  # fmt: skip
_UNREACHABLE = {"EndpointConnectionError", "ConnectTimeoutError", "ClientConnectorError", "ConnectionRefusedError",
                "ProxyConnectionError", "gaierror"}  # fmt: skip
_MAY_PASS = {"Dropped", "OSError", "HTTPClientError", "ClientError", "IncompleteRead", "IncompleteReadError",
             "ResponseParserError"}  # fmt: skip
_DENIED_STATUS = (401, 403)
_GONE_STATUS = (404, 410)


class Dropped(Exception):
    """Fewer bytes came than were asked for, or more."""


def cause_of(reason: Exception) -> Exception:
    """What happened: fsspec's web client calls a file missing, too, when nobody answered or would give it."""
    cause = reason.__cause__
    if not isinstance(reason, FileNotFoundError) or not isinstance(cause, Exception):
        return reason
    of_web = type(cause).__module__.startswith("aiohttp") or isinstance(cause, TimeoutError)
    return cause if of_web and getattr(cause, "status", None) not in _GONE_STATUS else reason


def missing(file: Remote, bucket_exists: bool) -> StorageError:
    """The file is not there; a bucket that is not there is no matter of one file."""
    if bucket_exists:
        return MissingFileError(f"{file}: no such file")
    bucket = "/".join(file.parts[:1]) + f"//{file.parts[1]}"
    return StorageError(
        f"{file}: the bucket {bucket} does not exist; check its name and the endpoint (AWS_ENDPOINT_URL)"
    )


def typed(file: Remote, reason: Exception) -> tuple[StorageError, bool]:
    """The error to raise, and whether another attempt may go well."""
    families = {each.__name__ for each in type(reason).__mro__}
    if families & _DENIED or getattr(reason, "status", None) in _DENIED_STATUS:
        return AccessError(
            f"{file}: access is denied; check the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "AWS_PROFILE), their right to read and list, and that the file exists"
        ), False
    if families & _UNREACHABLE:
        return StorageError(
            f"{file}: its server cannot be reached; check the network and the endpoint (AWS_ENDPOINT_URL, "
            "AWS_DEFAULT_REGION)"
        ), False
    if families & _MAY_PASS:
        return StorageError(
            f"{file}: the connection broke off, again and again ({type(reason).__name__}); run the same command later, "
            "it goes on where it stopped"
        ), True
    return StorageError(f"{file}: cannot be read ({type(reason).__name__}); check the URL"), False
