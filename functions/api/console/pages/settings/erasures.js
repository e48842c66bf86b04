// What was erased, with receipts; and erasing an event or a call, after its id was typed. A receipt never holds a part of what
// was erased. The receipt that is open is in the query string.
import { html, useEffect, useState } from '../../lib/preact.js';
import { api } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { canWrite } from '../../lib/session.js';
import { Time, number } from '../../lib/format.js';
import { Button, Card, Confirm, Copy, Drawer, Empty, ErrorBox, Field, Id, KeyValue, Loading, Notice, Pager, Select, State, Table, TextInput,
  useAsync, usePages, useToast } from '../../lib/ui.js';
import { Names } from '../parts/names.js';
import { inTenant } from '../parts/texts.js';

const PAGE_SIZE = 50;
/// How often a receipt that is not complete is read again, in milliseconds: it takes about ten minutes.
const FOLLOW_MS = 15_000;

/* messages: settings.erased.* settings.erase.kind.* settings.erase.ask.* */

function What({ erased }) {
  const [kind, id] = Object.entries(erased)[0];
  return html`${t(`settings.erased.${kind}`)} <bdi class="mono" dir="ltr">${id}</bdi>`;
}

const Completeness = ({ receipt }) => html`<${State} state=${receipt.complete ? 'done' : 'running'}
  label=${t(receipt.complete ? 'settings.erased.complete' : 'settings.erased.going_on')} />`;

/// One receipt in full.
function Receipt({ receipt }) {
  const { may_still_leave: leaving, may_still_leave_count: left, unreadable, unreadable_count: unread } = receipt;
  return html`
    ${!receipt.complete && html`<${Notice} kind="info">${t('settings.erased.going_on_text')}<//>`}
    <${KeyValue} items=${[
      [t('settings.receipt.id'), html`<${Id} value=${receipt.id} copy />`],
      [t('settings.receipt.what'), html`<${What} erased=${receipt.erased} />`],
      [t('settings.receipt.state'), html`<${Completeness} receipt=${receipt} />`],
      [t('settings.receipt.at'), html`<${Time} at=${receipt.at} mode="exact" />`],
      [t('settings.receipt.completed'), receipt.completed_at && html`<${Time} at=${receipt.completed_at} mode="exact" />`],
      [t('settings.receipt.asked_by'), html`<${Id} value=${receipt.asked_by} />`],
      [t('settings.receipt.events'), number(receipt.events)],
      [t('settings.receipt.canceled'), number(receipt.canceled)],
      [t('settings.receipt.leaving'), number(left)],
      [t('settings.receipt.unreadable'), number(unread)],
    ]} />
    ${left > 0 && html`<${Notice} kind="warn" title=${t('settings.receipt.leaving_title', { n: left })}>
      <p>${t('settings.receipt.leaving_text')}</p><${Names} values=${leaving} /><//>`}
    ${unread > 0 && html`<${Notice} kind="warn" title=${t('settings.receipt.unreadable_title', { n: unread })}>
      <p>${t('settings.receipt.unreadable_text')}</p><${Names} values=${unreadable} /><//>`}
    <div class="row"><${Copy} text=${() => JSON.stringify(receipt, null, 2)} label=${t('settings.receipt.copy')} kind="plain">${t('settings.receipt.copy')}<//></div>`;
}

function ReceiptDrawer({ tenant, id, onClose }) {
  const { data, error, reload } = useAsync(({ signal }) => api('GET', inTenant(tenant, 'erasures', id), { signal }), [tenant, id]);
  const goesOn = data !== null && !data.complete;
  useEffect(() => {
    if (!goesOn) return undefined;
    const timer = setInterval(() => { if (!document.hidden) reload(); }, FOLLOW_MS);
    return () => clearInterval(timer);
  }, [goesOn, id]);
  return html`<${Drawer} title=${t('settings.receipt.title')} onClose=${onClose}>
    ${error ? html`<${ErrorBox} error=${error} onRetry=${reload} />` : data ? html`<${Receipt} receipt=${data} />` : html`<${Loading} />`}
  <//>`;
}

/// Erases one event, or all events of a call.
function Erase({ tenant, onErased }) {
  const [kind, setKind] = useState('event');
  const [id, setId] = useState('');
  const [isAsked, setIsAsked] = useState(false);
  const [error, setError] = useState(null);
  const toast = useToast();
  const erase = async () => {
    setError(null);
    try {
      const receipt = await api('DELETE', inTenant(tenant, kind === 'event' ? 'events' : 'calls', id));
      toast(t('settings.erase.did'));
      setIsAsked(false);
      setId('');
      onErased(receipt);
    } catch (failure) {
      setError(failure);
    }
  };
  const ask = (event) => {
    event.preventDefault();
    setError(null);
    if (id !== '') setIsAsked(true);
  };
  return html`<${Card} title=${t('settings.erase.title')} text=${t('settings.erase.text')}>
    <form class="stack" novalidate onSubmit=${ask}>
      <${Field} label=${t('settings.erase.what')}><${Select} value=${kind} onChange=${setKind}
        options=${['event', 'call'].map((value) => ({ value, label: t(`settings.erase.kind.${value}`) }))} /><//>
      <${Field} label=${t('settings.erase.id')} hint=${t(`settings.erase.hint.${kind}`)}>
        <${TextInput} mono value=${id} onInput=${(text) => setId(text.trim())} /><//>
      <div class="row"><${Button} kind="danger" icon="trash" type="submit" disabled=${id === ''}>${t('settings.erase.do')}<//></div>
    </form>
    ${isAsked && html`<${Confirm} title=${t(`settings.erase.ask.${kind}`)} text=${t('settings.erase.ask_text')} typed=${id} action=${t('settings.erase.do')}
      onConfirm=${erase} onClose=${() => setIsAsked(false)}>${error && html`<${ErrorBox} error=${error} />`}<//>`}
  <//>`;
}
/* messages: settings.erase.hint.* */

const columns = (open) => [
  { key: 'erased', label: t('settings.receipt.what'), cell: (receipt) => html`<${What} erased=${receipt.erased} />` },
  { key: 'state', label: t('settings.receipt.state'), cell: (receipt) => html`<${Completeness} receipt=${receipt} />` },
  { key: 'events', label: t('settings.receipt.events'), align: 'end', cell: (receipt) => number(receipt.events) },
  { key: 'at', label: t('settings.receipt.at'), cell: (receipt) => html`<${Time} at=${receipt.at} />` },
  { key: 'open', label: t('settings.receipt.title'), hidden: true, align: 'end', cell: (receipt) => html`
    <${Button} small onClick=${() => open(receipt)}>${t('settings.receipt.open')}<//>` },
];

export function Erasures({ tenant, query, setQuery }) {
  const list = usePages(inTenant(tenant, 'erasures'), { limit: PAGE_SIZE });
  const open = (receipt) => setQuery({ erasure: receipt.id });
  return html`
    ${canWrite() && html`<${Erase} tenant=${tenant} onErased=${(receipt) => { list.reload(); open(receipt); }} />`}
    <${Card} flush title=${t('settings.receipts')} text=${t('settings.receipts_text')}>
      <${Table} label=${t('settings.receipts')} rows=${list.items} columns=${columns(open)} loading=${list.loading} error=${list.error} onRetry=${list.reload}
        empty=${html`<${Empty} icon="trash" title=${t('settings.none_erased.title')} text=${t('settings.none_erased.text')} />`} />
      <${Pager} next=${list.next} onMore=${list.more} loading=${list.loadingMore} count=${list.items.length} />
    <//>
    ${query.erasure && html`<${ReceiptDrawer} key=${query.erasure} tenant=${tenant} id=${query.erasure} onClose=${() => setQuery({ erasure: null })} />`}`;
}
