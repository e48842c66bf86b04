// What a portal's link carries behind its #. Pure.

/** '#<token>' or '#token=<token>&language=ar' -> {token, language}; null for what is not there. */
export function fragment(hash) {
  const text = hash.replace(/^#/, '');
  if (text === '') return { token: null, language: null };
  const first = text.split('&')[0];
  const pairs = new URLSearchParams(text);
  const token = pairs.get('token') ?? (first.includes('=') ? null : decoded(first));
  return { token: token || null, language: pairs.get('language') };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
