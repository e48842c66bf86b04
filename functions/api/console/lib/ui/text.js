// Text that somebody else wrote, ids, secrets and code: shown as text and copied whole.
import { html, useEffect, useRef, useState } from '../preact.js';
import { t } from '../i18n.js';
import { Link } from '../router.js';
import { Button } from './form.js';

const COPIED_MS = 2000;

/** To the clipboard; an iframe may forbid the modern way, so there is the old one. Returns whether it worked. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'visually-hidden';
    // Within an open dialog only what is inside of it can be selected.
    const host = document.querySelector('dialog[open]') ?? document.body;
    const before = document.activeElement;
    host.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    before?.focus?.({ preventScroll: true });
    return done;
  }
}

/** A button that copies: `{text, label}`; `text` may be a function that answers it (or a promise of it). */
export function Copy({ text, label, children, kind = 'quiet', small = true }) {
  const [state, setState] = useState('idle');
  const timer = useRef(null);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    let done = false;
    try {
      done = await copyText(typeof text === 'function' ? await text() : text);
    } catch {
      done = false;
    }
    setState(done ? 'done' : 'failed');
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setState('idle'), COPIED_MS);
  };
  const said = { idle: '', done: t('common.copy.done'), failed: t('common.copy.failed') }[state];
  return html`<span class="copy"><${Button} kind=${kind} small=${small} icon=${state === 'done' ? 'check' : 'copy'}
    label=${children ? undefined : (label ?? t('common.action.copy'))} onClick=${copy}>${children && state === 'done' ? t('common.copy.done') : children}<//><span class=${state === 'failed' ? 'small' : 'visually-hidden'} role="status">${said}</span></span>`;
}

/** Somebody's words, in their own direction. */
export const Bdi = ({ children, class: extra }) => html`<bdi class=${extra}>${children}</bdi>`;

/** An id or another code: `{value, href, copy}`. Left-to-right in every language. */
export function Id({ value, href, copy = false }) {
  if (value === null || value === undefined || value === '') return html`<span class="muted">–</span>`;
  const text = html`<bdi class="mono id" dir="ltr">${value}</bdi>`;
  return html`<span class="id-row">${href ? html`<${Link} href=${href}>${text}<//>` : text}${copy && html`<${Copy} text=${String(value)} />`}</span>`;
}

/** A block of code or a body: `{text, language, copy, label, wrap}`. */
export function Code({ text, language, copy = true, label, wrap = false }) {
  return html`<div class="code">
    ${copy && html`<div class="code-tools"><${Copy} text=${text} /></div>`}
    <pre dir="ltr" tabindex="0" class=${wrap ? 'code-wrap' : undefined} role="group" aria-label=${label ?? language ?? t('common.code.label')}><code>${text}</code></pre>
  </div>`;
}

/**
 * A secret: dots until it is revealed. `reveal` answers it (a promise, or the text itself as `value`): it is asked for when somebody
 * wants to see or copy it, and forgotten when it is hidden again.
 * @param {{reveal?: () => string|Promise<string>, value?: string, label?: string}} props
 */
export function Secret({ reveal, value, label }) {
  const [shown, setShown] = useState(null);
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState(null);
  const get = async () => value ?? reveal();
  const toggle = async () => {
    if (shown !== null) {
      setShown(null);
      return;
    }
    setBusy(true);
    setFailed(null);
    try {
      setShown(await get());
    } catch (error) {
      setFailed(error);
    } finally {
      setBusy(false);
    }
  };
  return html`<div class="secret" role="group" aria-label=${label ?? t('common.secret.label')}>
    <span class=${`secret-text mono${shown === null ? ' secret-hidden' : ''}`} dir="ltr">${shown === null
      ? html`<span aria-hidden="true">••••••••••••••••••••</span><span class="visually-hidden">${t('common.secret.hidden')}</span>`
      : html`<bdi>${shown}</bdi>`}</span>
    <${Button} kind="quiet" small icon=${shown === null ? 'eye' : 'hidden'} busy=${busy} aria-pressed=${shown === null ? 'false' : 'true'}
      onClick=${toggle}>${t(shown === null ? 'common.secret.reveal' : 'common.secret.hide')}<//>
    <${Copy} text=${() => shown ?? get()}>${t('common.action.copy')}<//>
    ${failed && html`<p class="field-error" role="alert">${t('common.secret.failed')}</p>`}
  </div>`;
}
