// From an id to its page: a call, an event, a delivery, an endpoint, a replay. Support has the id from a ticket and nothing else.
import { html, useEffect, useRef, useState } from '../preact.js';
import { api, ApiError, errorText, tenantApi } from '../api.js';
import { t } from '../i18n.js';
import { navigate, path } from '../router.js';
import { Icon } from '../icons.js';
import { who } from '../session.js';
import { forgetToasts, useToast } from '../ui/feedback.js';

/** What an id can be, most likely first: the segments of its page, and the request that says whether it is there. */
export function candidates(tenant, id) {
  const delivery = { page: ['deliveries', id], ask: [tenantApi(tenant, 'deliveries', id)] };
  const event = { page: ['events', id], ask: [tenantApi(tenant, 'events', id)] };
  const call = { page: ['calls', id], ask: [tenantApi(tenant, 'calls', id, 'events'), { limit: 1 }], list: true };
  if (id.startsWith('ep_')) return [{ page: ['endpoints', id], ask: [tenantApi(tenant, 'endpoints', id)] }, event, call];
  if (id.startsWith('rpl_')) return [{ page: ['replays', id], ask: [tenantApi(tenant, 'replays', id)] }, event, call];
  if (/\.ep_/.test(id)) return [delivery, call];
  if (id.startsWith('evt_')) return [event, delivery, call];
  return [call, event, delivery];
}

async function isThere({ ask: [url, query], list }) {
  try {
    const answer = await api('GET', url, { query });
    return list ? answer.items.length > 0 : true;
  } catch (error) {
    // An id of another form than these is one that is not there.
    if (error instanceof ApiError && [400, 404, 410, 422].includes(error.status)) return error.status === 410;
    throw error;
  }
}

async function pageFor(tenant, id) {
  for (const candidate of candidates(tenant, id)) {
    if (await isThere(candidate)) return path('t', tenant, ...candidate.page);
  }
  return null;
}

const typing = (target) => target.closest?.('input, textarea, select, [contenteditable], dialog') !== null;

/** Operators may have the wrong tenant open: then all of them can be asked for a call. */
const elsewhere = (id) => (who()?.kind === 'operator'
  ? { label: t('common.find.everywhere'), onClick: () => navigate(`/?call=${encodeURIComponent(id)}`) } : undefined);

/** The search of the layout; the key / goes to it. */
export function Finder({ tenant }) {
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const input = useRef(null);
  const toast = useToast();
  useEffect(() => {
    const slash = (event) => {
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
      event.preventDefault();
      input.current?.focus();
    };
    document.addEventListener('keydown', slash);
    return () => document.removeEventListener('keydown', slash);
  }, []);
  const search = async (event) => {
    event.preventDefault();
    const id = text.trim();
    if (id === '' || busy) return;
    setBusy(true);
    forgetToasts();
    try {
      const page = await pageFor(tenant, id);
      if (page === null) toast(t('common.find.nothing', { id }), { kind: 'bad', action: elsewhere(id) });
      else {
        setText('');
        navigate(page);
      }
    } catch (error) {
      toast(errorText(error), { kind: 'bad' });
    } finally {
      setBusy(false);
    }
  };
  return html`<form class="finder" role="search" aria-label=${t('common.find.label')} onSubmit=${search}>
    ${busy ? html`<span class="spinner" aria-hidden="true"></span>` : html`<${Icon} name="search" />`}
    <input ref=${input} class="input mono" type="search" dir="ltr" value=${text} autocomplete="off" spellcheck="false" aria-label=${t('common.find.label')}
      aria-keyshortcuts="/" placeholder=${t('common.find.placeholder')} onInput=${(event) => setText(event.currentTarget.value)} />
    <kbd class="finder-key" aria-hidden="true">/</kbd>
  </form>`;
}
