// What tells the reader how things stand: nothing there, loading, wrong, done, how far.
import { html, render, useEffect, useState } from '../preact.js';
import { errorMend, errorText, errorTitle } from '../api.js';
import { duration, percent } from '../format.js';
import { t, useLanguage } from '../i18n.js';
import { store, useStore } from '../store.js';
import { Icon } from '../icons.js';
import { Button } from './form.js';

const TOAST_MS = 6000;
const MAX_TOASTS = 3;

/** Nothing there, and the next step: `{title, text, action, icon}`. */
export function Empty({ title, text, action, icon = 'search' }) {
  return html`<div class="empty"><${Icon} name=${icon} /><p class="empty-title">${title}</p>${text && html`<p class="muted">${text}</p>`}
    ${action && html`<div class="row row-center">${action}</div>`}</div>`;
}

/** The shape of what comes, as high as it will be: `{rows, kind: 'rows'|'card'|'chart'}`. */
export function Loading({ rows = 5, kind = 'rows' }) {
  return html`<div class="loading" aria-busy="true"><span class="visually-hidden" role="status">${t('common.loading')}</span>
    ${kind === 'rows' ? Array.from({ length: rows }, (_, at) => html`<div class="skeleton skeleton-row" key=${at}></div>`)
      : html`<div class=${`skeleton skeleton-${kind}`}></div>`}</div>`;
}

/** Something went wrong: what, its code, how to mend it, and again. */
export function ErrorBox({ error, onRetry, title }) {
  const mend = errorMend(error);
  return html`<div class="notice notice-bad" role="alert"><${Icon} name="warn" /><div class="stack stack-tight">
    <p class="notice-title">${title ?? errorTitle(error)}</p>
    <p><bdi>${errorText(error)}</bdi></p>
    ${mend && html`<p>${mend}</p>`}
    ${error?.code && html`<p class="small muted">${t('common.error.code_label')} <code dir="ltr">${error.code}</code></p>`}
    ${onRetry && html`<div><${Button} icon="refresh" onClick=${onRetry}>${t('common.action.retry')}<//></div>`}
  </div></div>`;
}

const NOTICE_ICONS = { info: 'info', warn: 'warn', bad: 'warn', good: 'check' };
/** `{kind: 'info'|'warn'|'bad'|'good', title, children, actions}` */
export function Notice({ kind = 'info', title, children, actions, role }) {
  return html`<div class=${`notice notice-${kind}`} role=${role}><${Icon} name=${NOTICE_ICONS[kind]} /><div class="stack stack-tight">
    ${title && html`<p class="notice-title">${title}</p>`}${children && html`<div>${children}</div>`}
    ${actions && html`<div class="row">${actions}</div>`}</div></div>`;
}

/** How far a job is: `{done, total, left_s, label}`; without `total` it only moves. */
export function Progress({ done = 0, total = null, left_s: left = null, label }) {
  const known = typeof total === 'number' && total > 0;
  const text = known ? t('common.progress.of', { done, total }) : t('common.progress.done', { n: done });
  return html`<div class="progress">
    <progress aria-label=${label ?? t('common.progress.label')} value=${known ? Math.min(done, total) : undefined} max=${known ? total : undefined}></progress>
    <div class="progress-text small num"><span>${text}${known && html` <span class="muted">(${percent(Math.min(1, done / total))})</span>`}</span>
      ${typeof left === 'number' && html`<span class="muted">${t('common.progress.left', { time: duration(left * 1000) })}</span>`}</div>
  </div>`;
}

const toasts = store([]);
let count = 0;

function toast(text, { kind = 'good', action } = {}) {
  count += 1;
  toasts.set([...toasts.get().slice(1 - MAX_TOASTS), { id: count, text, kind, action }]);
}
/** Takes away what was said before, where it would be read as the answer to what is asked now. */
export const forgetToasts = () => toasts.set([]);
const drop = (id) => toasts.set(toasts.get().filter((one) => one.id !== id));

/** `const toast = useToast(); toast(t('..'), {kind: 'good'|'bad', action: {label, onClick}})`. Errors: `toast(errorText(e), {kind: 'bad'})`. */
export const useToast = () => toast;

function Toast({ one }) {
  const [held, setHeld] = useState(false);
  useEffect(() => {
    // What went wrong stays until it was read.
    if (held || one.kind === 'bad') return undefined;
    const timer = setTimeout(() => drop(one.id), TOAST_MS);
    return () => clearTimeout(timer);
  }, [held]);
  return html`<div class=${`toast toast-${one.kind}`} onMouseEnter=${() => setHeld(true)} onMouseLeave=${() => setHeld(false)}
    onFocusIn=${() => setHeld(true)} onFocusOut=${() => setHeld(false)}>
    <${Icon} name=${one.kind === 'bad' ? 'warn' : 'check'} /><p>${one.text}</p>
    ${one.action && html`<${Button} kind="quiet" small onClick=${() => { drop(one.id); one.action.onClick(); }}>${one.action.label}<//>`}
    <${Button} kind="quiet" small icon="close" label=${t('common.action.close')} onClick=${() => drop(one.id)} /></div>`;
}

function Toasts() {
  useLanguage();
  const list = useStore(toasts);
  return html`<div class="toasts" role="region" aria-label=${t('common.toasts')}><div aria-live="polite" class="stack">
    ${list.map((one) => html`<${Toast} key=${one.id} one=${one} />`)}</div></div>`;
}

let place = null;

/** Makes the place where toasts appear, beside the page. Once, at the start. */
export function startToasts() {
  place = document.createElement('div');
  document.body.append(place);
  render(html`<${Toasts} />`, place);
}

/** Takes the toasts into an open dialog, since nothing outside of it can be heard or pressed; without one, back beside the page. */
export function moveToasts(dialog) {
  if (place !== null) (dialog ?? document.body).append(place);
}
