// Operators go from one tenant to another, staying in the same section of the console.
import { html, useState } from '../preact.js';
import { all } from '../api.js';
import { t } from '../i18n.js';
import { Link, path, useRoute } from '../router.js';
import { Icon } from '../icons.js';
import { Dialog } from '../ui/overlay.js';
import { TextInput } from '../ui/form.js';
import { ErrorBox, Loading } from '../ui/feedback.js';
import { useAsync } from '../ui/async.js';
import { useTenantName } from '../tenant-name.js';

const SHOWN = 100;
const MOST = 5000;

/** Tenants whose id or name has the words: those that begin with them first. */
export function matching(tenants, words) {
  const wanted = words.trim().toLowerCase();
  const rank = (tenant) => {
    const at = [tenant.id, tenant.name ?? ''].map((text) => text.toLowerCase().indexOf(wanted)).filter((place) => place >= 0);
    return at.length === 0 ? -1 : Math.min(...at) === 0 ? 0 : 1;
  };
  return tenants.map((tenant) => [rank(tenant), tenant]).filter(([place]) => place >= 0).sort((a, b) => a[0] - b[0]).map(([, tenant]) => tenant);
}

function Choice({ tenant, onClose }) {
  const { route } = useRoute();
  const [words, setWords] = useState('');
  const tenants = useAsync(({ signal }) => all('/v1/tenants', {}, { signal, most: MOST }));
  const section = route?.section && !route.operator && route.section !== 'overview' ? [route.section] : [];
  const found = matching(tenants.data ?? [], words);
  return html`<${Dialog} title=${t('common.tenant.choose')} onClose=${onClose}>
    <${TextInput} type="search" label=${t('common.tenant.search')} placeholder=${t('common.tenant.search')} value=${words} onInput=${setWords} />
    ${tenants.error && html`<${ErrorBox} error=${tenants.error} onRetry=${tenants.reload} />`}
    ${tenants.loading && html`<${Loading} rows=${4} />`}
    <ul class="tenant-list">${found.slice(0, SHOWN).map((one) => html`<li key=${one.id}><${Link} class="tenant-choice" href=${path('t', one.id, ...section)}
      aria-current=${one.id === tenant ? 'true' : undefined} onClick=${onClose}><bdi>${one.name || one.id}</bdi><bdi class="mono small muted" dir="ltr">${one.id}</bdi><//></li>`)}</ul>
    <p class="small muted" role="status">${tenants.data && (found.length === 0 ? t('common.tenant.none') : found.length > SHOWN ? t('common.tenant.more', { n: found.length - SHOWN }) : '')}</p>
  <//>`;
}

/** In two lines from the start, so that nothing moves when the name comes: the name and the id, or what it is and the id. */
function Tenant({ id }) {
  const name = useTenantName(id);
  const label = t('common.tenant.label');
  if (!name || name === id) return html`<span class="small muted">${label}</span><bdi class="truncate">${id ?? t('common.tenant.choose')}</bdi>`;
  return html`<span class="truncate"><span class="visually-hidden">${label} </span><bdi>${name}</bdi></span>${' '}<bdi class="truncate small muted mono" dir="ltr">${id}</bdi>`;
}

/** The button in the sidebar: `{tenant}`, null outside of one. */
export function TenantSwitch({ tenant }) {
  const [open, setOpen] = useState(false);
  return html`<button type="button" class="tenant-switch" aria-haspopup="dialog" onClick=${() => setOpen(true)}>
      <span class="tenant-switch-text"><${Tenant} id=${tenant} /></span>
      <${Icon} name="down" /></button>
    ${open && html`<${Choice} tenant=${tenant} onClose=${() => setOpen(false)} />`}`;
}
