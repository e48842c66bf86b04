<?php
// Verifies a webhook with PHP's standard library: WEBHOOK_SECRET=whsec_.. php verify.php HEADERS_FILE BODY_FILE

declare(strict_types=1);

const TOLERANCE_S = 5 * 60;

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
}

$headers = [];
foreach (file($argv[1], FILE_IGNORE_NEW_LINES) as $line) {
    [$name, $value] = array_pad(explode(':', $line, 2), 2, '');
    $headers[strtolower($name)] = trim($value);
}
exit(verify((string) getenv('WEBHOOK_SECRET'), $headers, (string) file_get_contents($argv[2])) ? 0 : 1);
