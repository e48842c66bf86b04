// What every form of an endpoint needs: numbers as they were typed, and the field that a refusal is about. Pure.

/** What the API says about one of these fields, or about a part of it; `null`: nothing. */
export function blame(error, ...fields) {
  if (!error?.field) return null;
  const blamed = fields.some((field) => error.field === field || error.field.startsWith(`${field}.`));
  return blamed ? error.detail.charAt(0).toUpperCase() + error.detail.slice(1) : null;
}

/** A number where the text is one, `null` where it is empty, and otherwise the text: the API refuses it by its field. */
export function numberOrText(text) {
  const trimmed = String(text).trim();
  if (trimmed === '') return null;
  return /^-?\d+(\.\d+)?$/.test(trimmed) ? Number(trimmed) : trimmed;
}
