"""Verifies a webhook with the official library (pip install standardwebhooks): as verify.py, but shorter."""

import os
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

with open(sys.argv[1], encoding="latin-1") as file:
    lines = [line.rstrip("\r\n").partition(":") for line in file]
with open(sys.argv[2], "rb") as file:
    body = file.read()
headers = {name.lower(): value.strip() for name, _, value in lines}
try:
    event = Webhook(os.environ["WEBHOOK_SECRET"]).verify(body, headers)
except WebhookVerificationError as error:
    sys.exit(f"refused: {error}")
print(event["type"])
