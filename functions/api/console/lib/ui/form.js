// Inputs. Within a Field each gets its label, hint and error by context. They call back with values, not with events.
import { html, createContext, useContext, useId, useRef, useState } from '../preact.js';
import { t } from '../i18n.js';
import { Icon } from '../icons.js';

const InField = createContext(null);

/**
 * @param {{kind?: 'primary'|'plain'|'danger'|'quiet', busy?: boolean, icon?: string, small?: boolean, type?: string,
 *   disabled?: boolean, label?: string, onClick?: (event: Event) => void, children?: any}} props `busy` keeps its place and its
 *   focus and ignores clicks; `label` names a button that shows an icon only
 */
export function Button({ kind = 'plain', busy = false, icon, small, type = 'button', label, onClick, children, class: extra = '', ...rest }) {
  const click = (event) => {
    if (busy) event.preventDefault();
    else onClick?.(event);
  };
  const bare = icon && (children === undefined || children === null) ? ' button-bare' : '';
  return html`<button type=${type} class=${`button button-${kind}${small ? ' button-small' : ''}${bare} ${extra}`}
    aria-label=${label} title=${bare ? label : undefined} aria-busy=${busy ? 'true' : undefined} onClick=${click} ...${rest}>
    ${busy ? html`<span class="spinner" aria-hidden="true"></span>` : icon && html`<${Icon} name=${icon} />`}
    ${children}
  </button>`;
}

/** @param {{label: any, hint?: any, error?: string|null, optional?: boolean, group?: boolean, children: any}} props `group`: several inputs */
export function Field({ label, hint, error, optional, group = false, children, class: extra = '' }) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ') || undefined;
  const context = group ? null : { id: `${id}-input`, described, invalid: Boolean(error) };
  const name = html`${label}${optional && html` <span class="field-optional">${t('common.field.optional')}</span>`}`;
  const inner = html`
    ${hint && html`<p class="field-hint" id=${`${id}-hint`}>${hint}</p>`}
    <${InField.Provider} value=${context}>${children}<//>
    ${error && html`<p class="field-error" id=${`${id}-error`}><${Icon} name="warn" /><span dir="auto">${error}</span></p>`}`;
  if (group) {
    return html`<fieldset class=${`field ${extra}`} aria-describedby=${described}><legend class="field-label">${name}</legend>${inner}</fieldset>`;
  }
  return html`<div class=${`field ${extra}`}><label class="field-label" for=${context.id}>${name}</label>${inner}</div>`;
}

function useField({ id, label }) {
  const field = useContext(InField);
  return {
    id: id ?? field?.id,
    'aria-label': label,
    'aria-describedby': field?.described,
    'aria-invalid': field?.invalid ? 'true' : undefined,
  };
}

// Codes and addresses are left-to-right in every language; words go the way they are written, a placeholder as the page does.
const wayOf = (value) => (value ? 'auto' : undefined);

/** @param {{value: string, onInput: (text: string) => void, type?: string, mono?: boolean, label?: string}} props and attributes */
export function TextInput({ value, onInput, type = 'text', mono, id, label, class: extra = '', ...rest }) {
  const field = useField({ id, label });
  const dir = mono || type === 'url' || type === 'password' ? 'ltr' : wayOf(value);
  return html`<input ...${field} type=${type} dir=${dir} class=${`input${mono ? ' mono' : ''} ${extra}`} value=${value ?? ''}
    autocomplete="off" spellcheck=${mono || type !== 'text' ? 'false' : undefined}
    onInput=${(event) => onInput?.(event.currentTarget.value, event)} ...${rest} />`;
}

/** @param {{value: string, onInput: (text: string) => void, rows?: number, mono?: boolean, label?: string}} props and attributes */
export function TextArea({ value, onInput, rows = 4, mono, id, label, class: extra = '', ...rest }) {
  const field = useField({ id, label });
  return html`<textarea ...${field} rows=${rows} dir=${mono ? 'ltr' : wayOf(value)} class=${`input${mono ? ' mono' : ''} ${extra}`}
    value=${value ?? ''} spellcheck=${mono ? 'false' : undefined}
    onInput=${(event) => onInput?.(event.currentTarget.value, event)} ...${rest}></textarea>`;
}

/** @param {{value: string, onChange: (value: string) => void, options: ({value: string, label: string}|string)[], label?: string}} props */
export function Select({ value, onChange, options, id, label, class: extra = '', ...rest }) {
  const field = useField({ id, label });
  return html`<span class=${`select ${extra}`}><select ...${field} class="input" value=${value ?? ''}
    onChange=${(event) => onChange?.(event.currentTarget.value, event)} ...${rest}>
    ${options.map((option) => {
      const { value: key, label: text } = typeof option === 'string' ? { value: option, label: option } : option;
      return html`<option key=${key} value=${key} selected=${key === (value ?? '')}>${text}</option>`;
    })}
  </select><${Icon} name="down" /></span>`;
}

/** @param {{checked: boolean, onChange: (checked: boolean) => void, label: any, hint?: any, type?: 'checkbox'|'radio'}} props */
export function Checkbox({ checked, onChange, label, hint, type = 'checkbox', class: extra = '', ...rest }) {
  const id = useId();
  return html`<div class=${`check ${extra}`}>
    <input type=${type} id=${id} checked=${checked} aria-describedby=${hint ? `${id}-hint` : undefined}
      onChange=${(event) => onChange?.(event.currentTarget.checked, event)} ...${rest} />
    <div><label for=${id}>${label}</label>${hint && html`<p class="field-hint" id=${`${id}-hint`}>${hint}</p>`}</div>
  </div>`;
}

/** On or off, at once: `{checked, onChange, label, disabled}`. */
export function Switch({ checked, onChange, label, disabled }) {
  return html`<button type="button" role="switch" class="switch" aria-checked=${checked ? 'true' : 'false'} disabled=${disabled}
    onClick=${() => onChange?.(!checked)}><span class="switch-track" aria-hidden="true"></span><span>${label}</span></button>`;
}

const SEPARATOR = /[,;\s]+/;

/**
 * Several short words (agents, event types). Enter, comma or leaving takes what was typed; Backspace in the empty input takes the
 * last one back.
 * @param {{values: string[], onChange: (values: string[]) => void, suggestions?: (string|{value: string, label: string})[],
 *   placeholder?: string, label?: string}} props
 */
export function TagInput({ values = [], onChange, suggestions = [], placeholder, id, label, disabled }) {
  const field = useField({ id, label });
  const list = useId();
  const input = useRef(null);
  const [text, setText] = useState('');
  const add = (typed) => {
    const added = typed.split(SEPARATOR).filter((word) => word !== '' && !values.includes(word));
    setText('');
    if (added.length > 0) onChange([...values, ...new Set(added)]);
  };
  const typed = (value) => {
    // A choice from the suggestions arrives at once and whole; typing arrives letter by letter.
    if (SEPARATOR.test(value) || (value.length > text.length + 1 && options.some((option) => option.value === value))) add(value);
    else setText(value);
  };
  const keys = (event) => {
    if (event.key === 'Enter' && text.trim() !== '') {
      event.preventDefault();
      add(text);
    } else if (event.key === 'Backspace' && text === '' && values.length > 0) onChange(values.slice(0, -1));
  };
  const remove = (value) => {
    onChange(values.filter((other) => other !== value));
    input.current?.focus();
  };
  const options = suggestions
    .map((option) => (typeof option === 'string' ? { value: option, label: '' } : option))
    .filter((option) => !values.includes(option.value));
  return html`<div class="tags input" onClick=${(event) => event.target === event.currentTarget && input.current?.focus()}>
    ${values.map((value) => html`<span class="tag" key=${value}><bdi class="mono" dir="ltr">${value}</bdi>
      ${!disabled && html`<button type="button" class="tag-remove" aria-label=${t('common.action.remove_name', { name: value })}
        onClick=${() => remove(value)}><${Icon} name="close" /></button>`}</span>`)}
    <input ...${field} ref=${input} class="tags-input mono" dir="ltr" type="text" list=${options.length > 0 ? list : undefined} value=${text}
      disabled=${disabled} placeholder=${values.length === 0 ? placeholder : undefined} autocomplete="off" spellcheck="false"
      onInput=${(event) => typed(event.currentTarget.value)} onKeyDown=${keys} onBlur=${() => text.trim() !== '' && add(text)} />
    ${options.length > 0 && html`<datalist id=${list}>${options.slice(0, 200).map((option) => html`<option key=${option.value}
      value=${option.value}>${option.label}</option>`)}</datalist>`}
  </div>`;
}
