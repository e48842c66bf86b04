// Where events go, and how people recognise the endpoint: URL, description, labels.
import { html } from '../../../lib/preact.js';
import { has, t } from '../../../lib/i18n.js';
import { Field, TextArea, TextInput } from '../../../lib/ui.js';
import { blame } from '../draft.js';
import { Rows } from './rows.js';

/* messages: endpoints.url_refused.* */

/** Why an address is refused, in the reader's language where we know the rule. */
function urlRefusal(error) {
  const ours = `endpoints.url_refused.${error?.code}`;
  return error?.field === 'url' && has(ours) ? t(ours) : blame(error, 'url');
}

/** A Redial of one's own machine delivers there too, unless it was told not to: the API does not say which it is, the address does. */
const isLocal = () => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);

export function TargetForm({ draft, set, error }) {
  return html`
    <${Field} label=${t('endpoints.url')} hint=${t(isLocal() ? 'endpoints.url_hint_local' : 'endpoints.url_hint')} error=${urlRefusal(error)}>
      <${TextInput} type="url" mono inputmode="url" value=${draft.url} onInput=${(url) => set({ url })}
        placeholder="https://example.com/webhooks" required maxlength="2048" />
    <//>
    <${Field} label=${t('endpoints.description')} hint=${t('endpoints.description_hint')} optional error=${blame(error, 'description')}>
      <${TextArea} rows=${2} value=${draft.description} onInput=${(description) => set({ description })} maxlength="1000" />
    <//>
    <${Rows} label=${t('endpoints.labels')} hint=${t('endpoints.labels_hint')} error=${blame(error, 'metadata')} optional
      rows=${draft.labels} onChange=${(labels) => set({ labels })} nameLabel=${t('endpoints.label_name')}
      valueLabel=${t('endpoints.label_value')} addLabel=${t('endpoints.label_add')} />`;
}
