// Who is looking: an operator with a cookie that scripts cannot read, or a customer with a portal's token in this tab. It never
// keeps a key: the key goes to the server once, the cookie comes back.
import { api, setToken, setUnauthorized } from './api.js';
import { store, useStore } from './store.js';

const TOKEN = 'redial.portal';

/** null: nobody. `expired`: somebody was here, and is not any more. */
const state = store({ who: null, portal: false, expired: false });
/** A tab whose storage is forbidden (an iframe with strict settings) keeps the token until it is closed or reloaded. */
let memory = null;

function stored(text) {
  try {
    if (text === null) sessionStorage.removeItem(TOKEN);
    else if (text !== undefined) sessionStorage.setItem(TOKEN, text);
    return sessionStorage.getItem(TOKEN) ?? memory;
  } catch {
    return memory;
  }
}

function keep(text) {
  memory = text;
  stored(text);
  setToken(text);
}

const seen = (answer) => ({
  kind: answer.kind,
  tenant: answer.tenant ?? null,
  readOnly: answer.read_only === true,
  expiresAt: answer.expires_at ?? null,
});

async function ask() {
  const who = seen(await api('GET', '/v1/session'));
  state.set({ who, portal: stored() !== null, expired: false });
  return who;
}

/** At the start of the console: asks the server who we are. Nobody is not an error; no connection is. */
export async function start() {
  setUnauthorized((_error, path) => {
    const { who, portal } = state.get();
    if (path !== '/v1/session' && who !== null) state.set({ who: null, portal, expired: true });
  });
  setToken(stored());
  try {
    return await ask();
  } catch (error) {
    if (error.status !== 401) throw error;
    state.set({ who: null, portal: stored() !== null, expired: stored() !== null });
    return null;
  }
}

/** Exchanges a key for a session. Whatever portal was open in this tab is left. */
export async function signIn(key) {
  keep(null);
  await api('POST', '/v1/session', { body: { key } });
  return ask();
}

/** Opens a portal with the token of its link. */
export async function openPortal(token) {
  keep(token);
  try {
    return await ask();
  } catch (error) {
    if (error.status === 401) {
      keep(null);
      state.set({ who: null, portal: true, expired: true });
    }
    throw error;
  }
}

/** Ends the session, on the server too where there is one. */
export async function signOut() {
  const portal = stored() !== null;
  if (portal) keep(null);
  else await api('DELETE', '/v1/session');
  state.set({ who: null, portal, expired: false });
}

/** @returns {{kind: 'operator'|'customer', tenant: string|null, readOnly: boolean, expiresAt: string|null}|null} */
export const who = () => state.get().who;
/** Whether this reader may change things. */
export const canWrite = () => who() !== null && !who().readOnly;
/** As `who()`, and draws again when it changes. */
export const useSession = () => useStore(state).who;
/** `{who, portal, expired}` for the layout and the sign-in page. */
export const useSessionState = () => useStore(state);
/** For what is not a component. */
export const onSession = (listener) => state.subscribe(() => listener(state.get()));
