// A draft that survives a reload of the tab. What is secret in it is not kept: not the secret, nor values of authentication and
// headers; they are typed again. Where storage is forbidden nothing is kept.
import { newDraft } from '../draft.js';

const nameOf = (tenant) => `redial.draft.${tenant}`;

export function keepDraft(tenant, draft) {
  const { header, username } = draft.auth;
  const kept = {
    ...draft,
    secret: '',
    auth: { ...newDraft().auth, header, username },
    headers: draft.headers.map(({ name }) => ({ name, value: '' })),
  };
  withStorage((storage) => storage.setItem(nameOf(tenant), JSON.stringify(kept)));
}

export const forgetDraft = (tenant) => withStorage((storage) => storage.removeItem(nameOf(tenant)));

/** The draft that was kept, or a new one. */
export function keptDraft(tenant) {
  const text = withStorage((storage) => storage.getItem(nameOf(tenant)));
  try {
    const kept = JSON.parse(text ?? '{}');
    return { ...newDraft(), isChoosing: (kept.eventTypes ?? []).length > 0, ...kept };
  } catch {
    return newDraft();
  }
}

function withStorage(use) {
  try {
    return use(sessionStorage);
  } catch {
    return null;
  }
}
