// How a receiver verifies what it gets, in the languages most of them are written in: the functions of docs/verify, which run
// there against requests that Redial sent. Text to copy: nothing of it is run here. No secret may be written into it, as
// snippets end up in repositories; the code takes it from the receiver's own configuration.

/** Verifies `webhook-signature`, as Standard Webhooks 1.0.0 says. `language` names the syntax for `Code`. */
const VERIFY = [
  {
    id: 'js',
    label: 'JavaScript',
    language: 'javascript',
    code: String.raw`import { createHmac, timingSafeEqual } from "node:crypto";

const TOLERANCE_S = 5 * 60;

/** True if the request is genuine and recent. headers by lower-case name; body a Buffer, exactly as received. */
export function verify(secret, headers, body) {
  const id = headers["webhook-id"];
  const sentAt = headers["webhook-timestamp"] ?? "";
  if (!id || !/^\d+$/.test(sentAt) || Math.abs(Date.now() / 1000 - Number(sentAt)) > TOLERANCE_S) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const hmac = createHmac("sha256", key).update(id + "." + sentAt + ".").update(body);
  const expected = Buffer.from("v1," + hmac.digest("base64"));
  // While a secret is rotated there are two signatures: one that matches is enough.
  return (headers["webhook-signature"] ?? "").split(" ").some((one) => {
    const given = Buffer.from(one);
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
}`,
  },
  {
    id: 'python',
    label: 'Python',
    language: 'python',
    code: String.raw`import base64
import hashlib
import hmac
import time

TOLERANCE_S = 5 * 60


def verify(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """True if the request is genuine and recent. headers by lower-case name; body exactly as received."""
    event, sent_at = headers.get("webhook-id"), headers.get("webhook-timestamp", "")
    if not event or not sent_at.isdecimal() or abs(time.time() - int(sent_at)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{event}.{sent_at}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    # While a secret is rotated there are two signatures: one that matches is enough.
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(f"v1,{expected}".encode(), one.encode()) for one in given)`,
  },
  {
    id: 'go',
    label: 'Go',
    language: 'go',
    code: String.raw`import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Verify is true if the request is genuine and recent. body: exactly as received.
func Verify(secret string, headers http.Header, body []byte) bool {
	id, sentAt := headers.Get("webhook-id"), headers.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(sentAt, 10, 64)
	key, wrong := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if id == "" || err != nil || wrong != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(append([]byte(id+"."+sentAt+"."), body...))
	expected := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	// While a secret is rotated there are two signatures: one that matches is enough.
	for _, given := range strings.Split(headers.Get("webhook-signature"), " ") {
		if hmac.Equal([]byte(given), expected) {
			return true
		}
	}
	return false
}`,
  },
  {
    id: 'php',
    label: 'PHP',
    language: 'php',
    code: String.raw`const TOLERANCE_S = 5 * 60;

/** True if the request is genuine and recent. $headers by lower-case name; $body exactly as received (php://input). */
function verify(string $secret, array $headers, string $body): bool
{
    $id = $headers['webhook-id'] ?? '';
    $sentAt = $headers['webhook-timestamp'] ?? '';
    if ($id === '' || !ctype_digit($sentAt) || abs(time() - (int) $sentAt) > TOLERANCE_S) {
        return false;
    }
    $key = base64_decode(str_starts_with($secret, 'whsec_') ? substr($secret, 6) : $secret, true);
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$sentAt.$body", $key, true));
    // While a secret is rotated there are two signatures: one that matches is enough.
    foreach (explode(' ', $headers['webhook-signature'] ?? '') as $given) {
        if (hash_equals($expected, $given)) {
            return true;
        }
    }
    return false;
}`,
  },
  {
    id: 'ruby',
    label: 'Ruby',
    language: 'ruby',
    code: String.raw`require "openssl"

TOLERANCE_S = 5 * 60

# True if the request is genuine and recent. headers: by lower-case name; body: exactly as received.
def verify(secret, headers, body)
  id = headers["webhook-id"]
  sent_at = headers["webhook-timestamp"].to_s
  return false if id.nil? || !sent_at.match?(/\A\d+\z/) || (Time.now.to_i - sent_at.to_i).abs > TOLERANCE_S

  key = secret.delete_prefix("whsec_").unpack1("m0")
  digest = OpenSSL::HMAC.digest("SHA256", key, "#{id}.#{sent_at}.".b + body)
  expected = "v1,#{[digest].pack("m0")}"
  # While a secret is rotated there are two signatures: one that matches is enough.
  headers["webhook-signature"].to_s.split(" ").any? do |given|
    given.bytesize == expected.bytesize && OpenSSL.fixed_length_secure_compare(given, expected)
  end
end`,
  },
  {
    id: 'java',
    label: 'Java',
    language: 'java',
    code: String.raw`import java.nio.charset.StandardCharsets;
import java.security.*;
import java.util.*;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Verify {
    static final long TOLERANCE_S = 5 * 60;

    /** True if the request is genuine and recent. headers: by lower-case name; body: exactly as received. */
    static boolean verify(String secret, Map<String, String> headers, byte[] body) throws GeneralSecurityException {
        String id = headers.get("webhook-id"), sentAt = headers.getOrDefault("webhook-timestamp", "");
        if (id == null || !sentAt.matches("\\d{1,12}")) return false;
        if (Math.abs(System.currentTimeMillis() / 1000 - Long.parseLong(sentAt)) > TOLERANCE_S) return false;
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(Base64.getDecoder().decode(secret.replaceFirst("^whsec_", "")), "HmacSHA256"));
        mac.update((id + "." + sentAt + ".").getBytes(StandardCharsets.UTF_8));
        byte[] expected = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes();
        // While a secret is rotated there are two signatures: one that matches is enough.
        for (String given : headers.getOrDefault("webhook-signature", "").split(" ")) {
            if (MessageDigest.isEqual(expected, given.getBytes())) return true;
        }
        return false;
    }
}`,
  },
];

/** Compares `x-webhook-secret`, which profile `voicehub` sends, in constant time. */
const COMPARE = [
  {
    id: 'js',
    label: 'JavaScript',
    language: 'javascript',
    code: String.raw`import { createHash, timingSafeEqual } from "node:crypto";

const digest = (text) => createHash("sha256").update(text).digest();

/** True if the request carries the secret. headers: by lower-case name. */
export function verify(secret, headers) {
  return timingSafeEqual(digest(headers["x-webhook-secret"] ?? ""), digest(secret));
}`,
  },
  {
    id: 'python',
    label: 'Python',
    language: 'python',
    code: String.raw`import hmac


def verify(secret: str, headers: dict[str, str]) -> bool:
    """True if the request carries the secret. headers: by lower-case name."""
    given = headers.get("x-webhook-secret", "")
    return hmac.compare_digest(given.encode(), secret.encode())`,
  },
  {
    id: 'go',
    label: 'Go',
    language: 'go',
    code: String.raw`import (
	"crypto/subtle"
	"net/http"
)

// Verify is true if the request carries the secret.
func Verify(secret string, headers http.Header) bool {
	given := headers.Get("x-webhook-secret")
	return subtle.ConstantTimeCompare([]byte(given), []byte(secret)) == 1
}`,
  },
  {
    id: 'php',
    label: 'PHP',
    language: 'php',
    code: String.raw`/** True if the request carries the secret. $headers by lower-case name. */
function verify(string $secret, array $headers): bool
{
    return hash_equals($secret, $headers['x-webhook-secret'] ?? '');
}`,
  },
  {
    id: 'ruby',
    label: 'Ruby',
    language: 'ruby',
    code: String.raw`require "openssl"

# True if the request carries the secret. headers: by lower-case name.
def verify(secret, headers)
  OpenSSL.secure_compare(secret, headers["x-webhook-secret"].to_s)
end`,
  },
  {
    id: 'java',
    label: 'Java',
    language: 'java',
    code: String.raw`import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Map;

public class Verify {
    /** True if the request carries the secret. headers: by lower-case name. */
    static boolean verify(String secret, Map<String, String> headers) {
        byte[] given = headers.getOrDefault("x-webhook-secret", "").getBytes(StandardCharsets.UTF_8);
        return MessageDigest.isEqual(given, secret.getBytes(StandardCharsets.UTF_8));
    }
}`,
  },
];

/** The snippets for the requests of a profile. */
export function snippetsFor(profile) {
  return profile === 'voicehub' ? COMPARE : VERIFY;
}
