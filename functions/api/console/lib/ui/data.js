// Lists and figures: tables that become cards on a phone, tabs, key figures, cards.
import { html, useId, useLayoutEffect, useRef } from '../preact.js';
import { t } from '../i18n.js';
import { Link } from '../router.js';
import { Icon } from '../icons.js';
import { Button } from './form.js';
import { Empty, ErrorBox, Loading } from './feedback.js';

const cellOf = (column, row) => (column.cell ? column.cell(row) : (row[column.key] ?? html`<span class="muted">–</span>`));

function Row({ row, columns, to, marked }) {
  return html`<tr role="row" class=${`${to ? 'row-link' : ''}${marked ? ' row-new' : ''}`}>
    ${columns.map((column, at) => {
      const inner = cellOf(column, row);
      return html`<td role="cell" key=${column.key} class=${`${column.align === 'end' ? 'align-end num' : ''}${column.phone ? ` phone-${column.phone}` : ''}`} data-label=${typeof column.label === 'string' ? column.label : undefined}>
        <div class="cell">${to && at === 0 ? html`<${Link} class="row-target" href=${to}>${inner}<//>` : inner}</div></td>`;
    })}</tr>`;
}

/**
 * @param {{columns: {key: string, label: any, cell?: (row: object) => any, align?: 'end', hidden?: boolean,
 *   phone?: 'top'|'none'}[], rows: object[],
 *   rowHref?: (row: object) => string|null, rowKey?: (row: object) => string, empty?: any, loading?: boolean, error?: Error|null,
 *   onRetry?: () => void, label?: string, fresh?: Set<string>}} props the first column is the link of a row: no other link in it;
 *   `hidden` labels a column for screen readers only; on a phone, where a row is a card, a column stands on its first line or nowhere; `empty` an <Empty>; `fresh` marks the keys that just came
 */
export function Table({ columns, rows = [], rowHref, rowKey = (row) => row.id, empty, loading, error, onRetry, label, fresh }) {
  if (error && rows.length === 0) return html`<${ErrorBox} error=${error} onRetry=${onRetry} />`;
  if (loading && rows.length === 0) return html`<${Loading} rows=${6} />`;
  if (rows.length === 0) return empty ?? html`<${Empty} title=${t('common.empty')} />`;
  return html`<div class="table-wrap" aria-busy=${loading ? 'true' : undefined}>
    ${error && html`<${ErrorBox} error=${error} onRetry=${onRetry} />`}
    <table class="table" role="table">
      ${label && html`<caption class="visually-hidden">${label}</caption>`}
      <thead role="rowgroup"><tr role="row">${columns.map((column) => html`<th role="columnheader" key=${column.key} scope="col" class=${column.align === 'end' ? 'align-end' : undefined}>
        ${column.hidden ? html`<span class="visually-hidden">${column.label}</span>` : column.label}</th>`)}</tr></thead>
      <tbody role="rowgroup">${rows.map((row) => html`<${Row} key=${rowKey(row)} row=${row} columns=${columns} to=${rowHref?.(row)} marked=${fresh?.has(rowKey(row))} />`)}</tbody>
    </table></div>`;
}

/** More of a list below what is there: `{next, onMore, loading, count}`. Nothing moves: the new rows follow the old. */
export function Pager({ next, onMore, loading = false, count }) {
  return html`<div class="pager"><span class="small muted" role="status">${typeof count === 'number' && count > 0
    ? t(next ? 'common.pager.shown_more' : 'common.pager.shown_all', { n: count }) : ''}</span>
    ${next && html`<${Button} busy=${loading} onClick=${onMore}>${t('common.action.more')}<//>`}</div>`;
}

/** @param {{tabs: {key: string, label: any, count?: any, href?: string}[], active: string, onChange?: (key: string) => void, label: string, children?: any}} props */
export function Tabs({ tabs, active, onChange, label, children }) {
  const list = useRef(null);
  const id = useId();
  // The bar scrolls where it is short of room: a link that leads to the last tab must show it.
  useLayoutEffect(() => {
    const [bar, tab] = [list.current, list.current.querySelector('[aria-selected=true]')].map((one) => one?.getBoundingClientRect());
    if (tab && tab.left < bar.left) list.current.scrollLeft -= bar.left - tab.left;
    else if (tab && tab.right > bar.right) list.current.scrollLeft += tab.right - bar.right;
  }, [active]);
  const keys = (event) => {
    const at = tabs.findIndex((tab) => tab.key === active);
    const rtl = getComputedStyle(list.current).direction === 'rtl';
    const step = { ArrowRight: rtl ? -1 : 1, ArrowLeft: rtl ? 1 : -1 }[event.key];
    let to = null;
    if (step) to = (at + step + tabs.length) % tabs.length;
    else if (event.key === 'Home') to = 0;
    else if (event.key === 'End') to = tabs.length - 1;
    if (to === null) return;
    event.preventDefault();
    onChange?.(tabs[to].key);
    list.current.querySelectorAll('[role=tab]')[to]?.focus();
  };
  const panel = `${id}-panel`;
  return html`<div class="tabs-wrap"><div class="tabs-bar" role="tablist" aria-label=${label} ref=${list} onKeyDown=${keys}>
      ${tabs.map((tab) => html`<button key=${tab.key} type="button" role="tab" id=${`${id}-${tab.key}`} class="tab" tabindex=${tab.key === active ? 0 : -1}
        aria-selected=${tab.key === active ? 'true' : 'false'} aria-controls=${children && tab.key === active ? panel : undefined}
        onClick=${() => onChange?.(tab.key)}>${tab.label}${tab.count !== undefined && tab.count !== null && html`<span class="tab-count num">${tab.count}</span>`}</button>`)}
    </div>
    ${children && html`<div role="tabpanel" id=${panel} aria-labelledby=${`${id}-${active}`} class="stack tab-panel">${children}</div>`}</div>`;
}

/** A key figure: `{label, value, hint, href, tone}`. */
export function Stat({ label, value, hint, href, tone, icon }) {
  const inner = html`<p class="stat-label">${icon && html`<${Icon} name=${icon} />`}${label}</p>
    <p class=${`stat-value num${tone ? ` tone-${tone}` : ''}`}>${value}</p>${hint && html`<p class="stat-hint small muted">${hint}</p>`}`;
  return href ? html`<${Link} href=${href} class="stat stat-link">${inner}<//>` : html`<div class="stat">${inner}</div>`;
}

/** `{items: [[label, value], ..]}`; a null value leaves its row out. */
export function KeyValue({ items }) {
  const shown = items.filter((item) => item && item[1] !== null && item[1] !== undefined && item[1] !== '');
  return html`<dl class="keys">${shown.map(([label, value], at) => html`<div class="keys-row" key=${at}><dt>${label}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** A section of a page with its heading: `{title, text, actions, children, flush}`; `flush`: a table from edge to edge. */
export function Card({ title, text, actions, children, flush = false, class: extra = '', level = 2 }) {
  return html`<section class=${`card${flush ? ' card-flush' : ''} ${extra}`}>
    ${(title || actions) && html`<header class="card-head"><div>${title && html`<${`h${level}`} class="card-title">${title}<//>`}
      ${text && html`<p class="small muted">${text}</p>`}</div>${actions && html`<div class="row">${actions}</div>`}</header>`}
    ${children}</section>`;
}
