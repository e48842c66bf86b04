// The request of a delivery as a shell command: the body and the headers that Redial sends, and a signature that is made when it
// runs, as one is valid for five minutes. Secrets come from the shell's environment. Pure; never holds a secret.

/** The `User-Agent` of requests. */
const agentOf = (profile, version) => (profile === 'utel' ? 'UtelHttpAgent/1.0' : `Redial/${version}`);

/** Text as one word of a POSIX shell. */
export const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** Where the key of the signature comes from: a secret of Redial's is base64, one of the customer's choosing is taken as it is. */
const KEY = {
  minted: 'printf \'%s\' "${WEBHOOK_SECRET#whsec_}" | base64 -d',
  chosen: 'case "$WEBHOOK_SECRET" in (whsec_*) printf \'%s\' "${WEBHOOK_SECRET#whsec_}" | base64 -d ;; '
    + '(*) printf \'%s\' "$WEBHOOK_SECRET" ;; esac',
};
const HEX = String.raw`od -An -v -tx1 | tr -d ' \n'`;

/** The variable of an own header: with a prefix, as one may be called `path`. */
const variable = (name) => `HEADER_${name.toUpperCase().replace(/[^A-Z0-9]+/g, '_')}`;
const header = (name, value) => `-H ${quoted(`${name}: ${value}`)}`;
/** A header whose value the shell fills in. Its name is the customer's: a shell that expands it would run what it says. */
const filledByShell = (name, value) => `-H ${quoted(`${name}: `)}"${value}"`;

const OF_AUTH = { api_key: ['API_KEY'], bearer: ['BEARER_TOKEN'], basic: ['BASIC_USER', 'BASIC_PASSWORD'] };

/** What has to be set in the shell before the command runs: names of variables. */
export const variablesOf = ({ header_names: names, auth }) => ['WEBHOOK_SECRET', ...names.map(variable), ...(OF_AUTH[auth?.type] ?? [])];

/** Headers of the endpoint's own, their values from the environment. */
function ownHeaders(endpoint) {
  const { auth } = endpoint;
  const headers = endpoint.header_names.map((name) => filledByShell(name, `$${variable(name)}`));
  if (endpoint.profile === 'voicehub') headers.push(filledByShell('x-webhook-secret', '$WEBHOOK_SECRET'));
  if (auth?.type === 'api_key') headers.push(filledByShell(auth.header, '$API_KEY'));
  if (auth?.type === 'bearer') headers.push(filledByShell('authorization', 'Bearer $BEARER_TOKEN'));
  if (auth?.type === 'basic') headers.push('-u "$BASIC_USER:$BASIC_PASSWORD"');
  return headers;
}

function command(url, options) {
  // Through a pipe: one argument of a program may have 128 KiB at most, a body twice as much.
  const lines = [`printf '%s' "$body" | curl --include ${quoted(url)}`, ...options, '--data-binary @-'];
  return lines.join(' \\\n  ');
}

/**
 * The command; in a shell of its own, so that one that was pasted ends, too, where a variable is not set. `version` is Redial's.
 */
export function curlCommand({ endpoint, event, body, version }) {
  return [
    '(',
    ...variablesOf(endpoint).map((name) => `: "\${${name}:?}"`),
    `body=${quoted(body)}`,
    `id=${quoted(event.id)}`,
    'ts=$(date +%s)',
    `key=$(${KEY[endpoint.profile === 'voicehub' ? 'chosen' : 'minted']} | ${HEX})`,
    'sig=$(printf \'%s.%s.%s\' "$id" "$ts" "$body" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)',
    command(endpoint.url, [
      ...ownHeaders(endpoint),
      header('content-type', 'application/json'),
      header('user-agent', agentOf(endpoint.profile, version)),
      filledByShell('webhook-id', '$id'),
      filledByShell('webhook-timestamp', '$ts'),
      filledByShell('webhook-signature', 'v1,$sig'),
    ]),
    ')',
  ].join('\n');
}
