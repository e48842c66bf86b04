// Pairs of a name and a value, as labels and headers are. A row that is known already shows no value, and keeps it while none is
// typed: what is secret never comes to the page to be edited.
import { html } from '../../../lib/preact.js';
import { t } from '../../../lib/i18n.js';
import { Button, Field, TextInput } from '../../../lib/ui.js';

export function Rows({ label, hint, error, optional, rows, onChange, nameLabel, valueLabel, addLabel, mono = false, most = 20 }) {
  const change = (at, part) => onChange(rows.map((row, n) => (n === at ? { ...row, ...part } : row)));
  return html`<${Field} group label=${label} hint=${hint} error=${error} optional=${optional}>
    ${rows.length > 0 && html`<ul class="pairs">${rows.map((row, at) => html`<li class="pair" key=${at}>
      <${TextInput} mono=${mono} label=${nameLabel} placeholder=${nameLabel} value=${row.name} readonly=${row.known}
        onInput=${(name) => change(at, { name })} />
      <${TextInput} mono=${mono} label=${t('endpoints.value_of', { name: row.name || nameLabel, value: valueLabel })} value=${row.value}
        placeholder=${row.known ? t('endpoints.value_kept') : valueLabel} onInput=${(value) => change(at, { value })} />
      <${Button} kind="quiet" icon="close" label=${t('common.action.remove_name', { name: row.name })}
        onClick=${() => onChange(rows.filter((_, n) => n !== at))} />
    </li>`)}</ul>`}
    ${rows.length < most && html`<${Button} small icon="plus" onClick=${() => onChange([...rows, { name: '', value: '' }])}>${addLabel}<//>`}
  <//>`;
}
