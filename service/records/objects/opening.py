"""The file systems of fsspec by URL, and the calls of those that are not asynchronous."""

import os
import secrets
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import urlsplit

Operation = Literal["put", "get", "delete"]
_TRIES = 2  # of one call, by the library of the store
_EXTRAS = {"s3": "s3fs: install the extra `s3` (pip install 'segsort[s3]')"}


def checked(url: str) -> str:
    """The URL of a store without a slash at its end.

    Raises:
        ValueError: if it is malformed or holds credentials.
    """
    try:
        parsed = urlsplit(url)
        named = parsed.username is not None or parsed.password is not None
    except ValueError:
        raise ValueError("SEGSORT_IMAGES_URL is malformed; give a URL such as s3://bucket/images") from None
    if named or parsed.query or parsed.fragment:
        raise ValueError(
            "SEGSORT_IMAGES_URL holds credentials, a query or a fragment; give scheme, bucket and prefix alone, and "
            "credentials by the variables of the store (for S3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
        )
    if not parsed.scheme or not (parsed.netloc or parsed.path.strip("/")) or "://" not in url:
        raise ValueError(
            f"SEGSORT_IMAGES_URL is {url!r}; allowed is an fsspec URL such as s3://bucket/images or "
            "file:///srv/segsort-images"
        )
    return url.rstrip("/")


def open_files(url: str, timeout: float) -> tuple[Any, str]:
    """The file system of a URL, and the path below which the files are.

    Raises:
        ValueError: if a package is missing.
    """
    scheme = url.partition("://")[0]
    try:
        import fsspec  # 0.1 s; only where it is used

        options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
        if scheme in ("s3", "s3a"):
            options |= _s3_options(timeout)
        elif scheme in ("file", "local"):
            options |= {"auto_mkdir": True}
        files, root = fsspec.core.url_to_fs(url, **options)
    except ImportError as error:
        package = _EXTRAS.get(scheme, f"another package ({error}), and fsspec, which is in the extra `s3`")
        raise ValueError(f"SEGSORT_IMAGES_URL is {url}, which needs {package}") from error
    if scheme in ("s3", "s3a"):
        files.retries = _TRIES
    return files, str(root).rstrip("/")


def _s3_options(timeout: float) -> dict[str, Any]:
    waits = {"connect_timeout": timeout / 4, "read_timeout": timeout / 2, "retries": {"max_attempts": 1}}
    return {"config_kwargs": waits | {"max_pool_connections": 50}, "max_concurrency": 1}


def _put(files: Any, path: str, content: bytes) -> None:
    if "file" not in files.protocol and "local" not in files.protocol:
        files.pipe_file(path, content)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    unfinished = f"{path}.{secrets.token_hex(4)}.part"
    try:
        with open(unfinished, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        if os.path.exists(unfinished):
            os.remove(unfinished)
        raise


def _get(files: Any, path: str) -> bytes:
    return bytes(files.cat_file(path))


def _delete(files: Any, path: str) -> None:
    files.rm_file(path)


SYNCHRONOUS: dict[Operation, Callable[..., Any]] = {"put": _put, "get": _get, "delete": _delete}
