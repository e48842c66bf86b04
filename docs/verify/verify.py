"""Verifies a webhook with Python's standard library: WEBHOOK_SECRET=whsec_.. python3 verify.py HEADERS_FILE BODY_FILE"""

import base64
import hashlib
import hmac
import os
import sys
import time

TOLERANCE_S = 5 * 60


def verify(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """True if the request is genuine and recent. `headers` by lower-case name; `body` exactly as received."""
    event, sent_at = headers.get("webhook-id"), headers.get("webhook-timestamp", "")
    if not event or not sent_at.isdecimal() or abs(time.time() - int(sent_at)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{event}.{sent_at}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    # While a secret is rotated there are two signatures: one that matches is enough.
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(f"v1,{expected}".encode(), one.encode()) for one in given)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="latin-1") as file:
        lines = [line.rstrip("\r\n").partition(":") for line in file]
    with open(sys.argv[2], "rb") as file:
        raw = file.read()
    named = {name.lower(): value.strip() for name, _, value in lines}
    sys.exit(0 if verify(os.environ["WEBHOOK_SECRET"], named, raw) else 1)
