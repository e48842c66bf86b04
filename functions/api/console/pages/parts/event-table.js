// Events as a table: the same columns for the list and for the live tail.
import { html } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';
import { Link } from '../../lib/router.js';
import { Time, number } from '../../lib/format.js';
import { Table } from '../../lib/ui.js';
import { callPath, eventPath } from './place.js';

const dash = html`<span class="muted">–</span>`;

const columnsOf = (tenant) => [
  { key: 'type', label: t('events.type'), cell: (event) => html`<span class="mono" dir="ltr">${event.type}</span>` },
  { key: 'accepted_at', label: t('events.accepted_at'), phone: 'top',
    cell: (event) => html`<${Time} at=${event.accepted_at} mode="log" />` },
  { key: 'agent', label: t('events.agent'), cell: (event) => (event.agent ? html`<bdi class="mono" dir="ltr">${event.agent}</bdi>` : dash) },
  { key: 'call', label: t('events.call'), cell: (event) => (event.related.call_id
    ? html`<${Link} href=${callPath(tenant, event.related.call_id)}><bdi class="mono clip" dir="ltr">${event.related.call_id}</bdi><//>` : dash) },
  { key: 'id', label: t('events.id'), phone: 'none', cell: (event) => html`<bdi class="mono small clip" dir="ltr">${event.id}</bdi>` },
  { key: 'deliveries', label: t('events.endpoints'), align: 'end', cell: (event) => number(event.deliveries) },
];

export function EventTable({ tenant, ...rest }) {
  return html`<${Table} label=${t('events.title')} columns=${columnsOf(tenant)} rowHref=${(event) => eventPath(tenant, event.id)} ...${rest} />`;
}
