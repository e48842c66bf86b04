// What a tenant is called, asked once for as long as somebody is signed in. Never tells it to whoever comes after them.
import { api, tenantApi } from './api.js';
import { useEffect } from './preact.js';
import { onSession } from './session.js';
import { store, useStore } from './store.js';

/** Names by id; '' for a tenant without one. */
const names = store({});
const asked = new Map();
let who = null;
onSession((state) => {
  if (state.who === who) return;
  who = state.who;
  asked.clear();
  names.set({});
});

/** Keeps a name that was learnt on the way, or was changed. */
export const tellName = (tenant, name) => names.set({ ...names.get(), [tenant]: name ?? '' });

async function ask(tenant) {
  const { name } = await api('GET', tenantApi(tenant));
  tellName(tenant, name);
  return name;
}

/** The name of a tenant; whoever asks at the same time shares one request. A refusal is not kept. */
export async function tenantName(tenant) {
  const known = names.get()[tenant];
  if (known !== undefined) return known;
  if (!asked.has(tenant)) asked.set(tenant, ask(tenant));
  try {
    return await asked.get(tenant);
  } finally {
    asked.delete(tenant);
  }
}

/** The same for a component: '' until it is known. */
export function useTenantName(tenant) {
  const known = useStore(names);
  useEffect(() => {
    // Without a name the id stands alone: the page itself says what is wrong.
    if (tenant) tenantName(tenant).catch(() => {});
  }, [tenant]);
  return known[tenant] ?? '';
}
