"""Signatures of webhooks by the Standard Webhooks specification, https://www.standardwebhooks.com, version 1."""

import base64
import hashlib
import hmac
import secrets

_PREFIX = "whsec_"  # lets a person or a secret scanner recognise a leaked secret
_BYTES = 32


def new_secret() -> str:
    """A random secret of 256 bits."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def signed_headers(secret: str, message_id: str, seconds: int, body: bytes) -> dict[str, str]:
    """The headers that identify and sign a message.

    Args:
        secret: of `new_secret`.
        message_id: the same in each try.
        seconds: Unix time of this try.
        body: the message.
    """
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = b"%b.%d.%b" % (message_id.encode(), seconds, body)
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{signature}",
    }
