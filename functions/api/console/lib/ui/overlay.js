// What lies over the page: dialogs, drawers, menus. <dialog> keeps the focus inside, closes with Esc and gives the focus back.
import { html, useEffect, useId, useLayoutEffect, useRef, useState } from '../preact.js';
import { t } from '../i18n.js';
import { Icon } from '../icons.js';
import { Link } from '../router.js';
import { moveToasts } from './feedback.js';
import { Button, Field, TextInput } from './form.js';

function Modal({ title, onClose, actions, children, class: extra, light = false, onSubmit }) {
  const ref = useRef(null);
  const id = useId();
  const mounted = useRef(true);
  useLayoutEffect(() => {
    const dialog = ref.current;
    const before = document.activeElement;
    if (!dialog.open) dialog.showModal();
    moveToasts(dialog);
    (dialog.querySelector('.dialog-body :is(input, textarea, select):not([disabled])') ?? dialog.querySelector('h2')).focus();
    return () => {
      mounted.current = false;
      dialog.close();
      // Before it goes, or they would go with it.
      moveToasts([...document.querySelectorAll('dialog:modal')].at(-1));
      // Where the opener is gone (its row was deleted) the page's heading is the next best place.
      const back = before?.isConnected ? before : document.querySelector('h1');
      back?.focus?.({ preventScroll: true });
    };
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose?.();
  };
  // A second Esc closes it whatever we say: then it is closed for us too.
  const closed = () => mounted.current && onClose?.();
  const outside = (event) => light && event.target === ref.current && onClose?.();
  const submit = (event) => {
    event.preventDefault();
    onSubmit?.();
  };
  const inner = html`
    <header class="dialog-head"><h2 id=${id} tabindex="-1">${title}</h2>
      <${Button} kind="quiet" icon="close" label=${t('common.action.close')} onClick=${() => onClose?.()} /></header>
    <div class="dialog-body stack">${children}</div>
    ${actions && html`<footer class="dialog-actions">${actions}</footer>`}`;
  return html`<dialog ref=${ref} class=${extra} aria-labelledby=${id} onCancel=${cancel} onClose=${closed} onClick=${outside}>
    ${onSubmit ? html`<form class="dialog-inner" method="dialog" novalidate onSubmit=${submit}>${inner}</form>`
      : html`<div class="dialog-inner">${inner}</div>`}
  </dialog>`;
}

/**
 * @param {{title: any, onClose: () => void, children: any, actions?: any, wide?: boolean, onSubmit?: () => void}} props rendered =
 *   open; with `onSubmit` it is a form (Enter sends; give the main button type="submit")
 */
export function Dialog({ wide, ...rest }) {
  return html`<${Modal} ...${rest} class=${`dialog${wide ? ' dialog-wide' : ''}`} />`;
}

/** A panel at the end of the line: `{title, onClose, children, actions}`. A click beside it closes it. */
export function Drawer({ side = 'end', ...rest }) {
  return html`<${Modal} ...${rest} light class=${`drawer drawer-${side}`} />`;
}

/**
 * Asks before something is done.
 * @param {{title: any, text?: any, typed?: string, action?: any, keep?: any, danger?: boolean, busy?: boolean, error?: string|null,
 *   onConfirm: () => any, onClose?: () => void, onCancel?: () => void, children?: any}} props `typed`: the word to type first;
 *   a promise from `onConfirm` shows as busy until it settles; `keep`: the other button, where "Cancel" could mean either
 */
export function Confirm({ title, text, typed, action, keep, danger = true, busy = false, error, onConfirm, onClose, onCancel, children }) {
  const [word, setWord] = useState('');
  const [doing, setDoing] = useState(false);
  const mounted = useRef(true);
  useEffect(() => () => (mounted.current = false), []);
  const close = onClose ?? onCancel;
  const ready = typed === undefined || word.trim() === typed;
  const confirm = async () => {
    if (!ready || doing || busy) return;
    setDoing(true);
    try {
      await onConfirm();
    } finally {
      if (mounted.current) setDoing(false);
    }
  };
  const actions = html`
    <${Button} onClick=${() => close?.()}>${keep ?? t('common.action.cancel')}<//>
    <${Button} kind=${danger ? 'danger' : 'primary'} type="submit" busy=${doing || busy} disabled=${!ready}>
      ${action ?? t('common.action.confirm')}<//>`;
  return html`<${Modal} title=${title} onClose=${close} actions=${actions} onSubmit=${confirm} class="dialog">
    ${text && html`<p>${text}</p>`}
    ${children}
    ${typed !== undefined && html`<${Field} label=${t('common.confirm.type', { word: typed })}>
      <${TextInput} mono value=${word} onInput=${setWord} /><//>`}
    ${error && html`<p class="field-error" role="alert"><${Icon} name="warn" />${error}</p>`}
  <//>`;
}

const STEP = { ArrowDown: 1, ArrowUp: -1 };

function useDismiss(open, root, close) {
  useEffect(() => {
    if (!open) return undefined;
    const away = (event) => root.current?.contains(event.target) || close();
    document.addEventListener('pointerdown', away);
    document.addEventListener('focusin', away);
    return () => {
      document.removeEventListener('pointerdown', away);
      document.removeEventListener('focusin', away);
    };
  }, [open]);
}

/**
 * A button that opens a list of actions.
 * @param {{label: string, icon?: string, text?: any, kind?: string, align?: 'start'|'end', up?: boolean,
 *   items: ({label: any, icon?: string, onClick?: () => void, href?: string, danger?: boolean, disabled?: boolean, checked?: boolean,
 *   hint?: any}|null|false)[]}} props `text` shows beside the icon; without it the button is the icon, named by `label`
 */
export function Menu({ label, icon = 'more', text, items, kind = 'quiet', align = 'end', up = false }) {
  const root = useRef(null);
  const list = useRef(null);
  const [open, setOpen] = useState(false);
  const entries = () => [...(list.current?.querySelectorAll('[role^=menuitem]:not([aria-disabled=true])') ?? [])];
  const close = (focus) => {
    setOpen(false);
    if (focus) root.current?.querySelector('button')?.focus();
  };
  useDismiss(open, root, () => close(false));
  useLayoutEffect(() => {
    if (!open) return;
    const all = entries();
    (all.find((entry) => entry.getAttribute('aria-checked') === 'true') ?? all[0])?.focus();
  }, [open]);
  const keys = (event) => {
    if (!open) {
      if (event.key === 'ArrowDown') {
        event.preventDefault();
        setOpen(true);
      }
      return;
    }
    const all = entries();
    const at = all.indexOf(document.activeElement);
    let to = null;
    if (event.key in STEP) to = all[(at + STEP[event.key] + all.length) % all.length];
    else if (event.key === 'Home') to = all[0];
    else if (event.key === 'End') to = all[all.length - 1];
    else if (event.key === 'Escape') close(true);
    else if (event.key === 'Tab') setOpen(false);
    else return;
    if (event.key !== 'Tab') event.preventDefault();
    if (event.key === 'Escape') event.stopPropagation();
    to?.focus();
  };
  const shown = items.filter(Boolean);
  return html`<div class="menu" ref=${root} onKeyDown=${keys}>
    <${Button} kind=${kind} icon=${icon} label=${text === undefined ? label : undefined} aria-haspopup="menu" aria-expanded=${open ? 'true' : 'false'}
      onClick=${() => setOpen(!open)}>${text}<//>
    ${open && html`<div class=${`menu-list menu-${align}${up ? ' menu-up' : ''}`} role="menu" aria-label=${label} ref=${list}>
      ${shown.map((item, at) => html`<${MenuItem} key=${at} item=${item} close=${close} />`)}</div>`}
  </div>`;
}

function MenuItem({ item, close }) {
  const marks = item.checked !== undefined;
  const props = {
    role: marks ? 'menuitemradio' : 'menuitem',
    'aria-checked': marks ? String(item.checked) : undefined,
    'aria-disabled': item.disabled ? 'true' : undefined,
    tabindex: -1,
    class: `menu-item${item.danger ? ' menu-danger' : ''}`,
  };
  const inner = html`${(item.icon || marks) && html`<${Icon} name=${marks ? (item.checked ? 'check' : 'none') : item.icon} class=${marks && !item.checked ? 'icon-blank' : ''} />`}
    <span>${item.label}${item.hint && html`<span class="menu-hint">${item.hint}</span>`}</span>`;
  if (item.href && !item.disabled) return html`<${Link} href=${item.href} onClick=${() => close(false)} ...${props}>${inner}<//>`;
  const click = () => {
    if (item.disabled) return;
    close(true);
    item.onClick?.();
  };
  return html`<button type="button" onClick=${click} ...${props}>${inner}</button>`;
}
