// How requests prove who they are besides the signature: authentication of the customer's choosing, headers, and the secret. What
// is typed here is sent once and never kept by the page.
import { html } from '../../../lib/preact.js';
import { t } from '../../../lib/i18n.js';
import { Checkbox, Field, TextInput } from '../../../lib/ui.js';
import { blame } from '../draft.js';
import { Rows } from './rows.js';

const KINDS = ['none', 'api_key', 'basic', 'bearer'];

/* messages: endpoints.auth.* endpoints.auth_hint.* */

/** @param {{draft: object, set: Function, error: object, shownAuth?: object|null, isNew?: boolean}} props `shownAuth`: what there is */
export function SecurityForm({ draft, set, error, shownAuth = null, isNew = false }) {
  const kinds = shownAuth ? ['keep', ...KINDS] : KINDS;
  const isBlamed = blame(error, 'auth');
  return html`
    ${isNew && html`<${SecretForm} draft=${draft} set=${set} error=${error} />`}
    <${Field} group label=${t('endpoints.authentication')} hint=${t('endpoints.authentication_hint')}
      error=${error?.field === 'auth' ? isBlamed : null}>
      ${kinds.map((kind) => html`<${Checkbox} key=${kind} type="radio" name="auth-kind" checked=${draft.authKind === kind}
        onChange=${() => set({ authKind: kind })} label=${kind === 'keep' ? keptText(shownAuth) : t(`endpoints.auth.${kind}`)}
        hint=${t(`endpoints.auth_hint.${kind}`)} />`)}
    <//>
    <${AuthFields} draft=${draft} set=${set} error=${error} />
    <${Rows} label=${t('endpoints.headers')} hint=${t('endpoints.headers_hint')} error=${blame(error, 'headers')} optional mono
      rows=${draft.headers} onChange=${(headers) => set({ headers })} nameLabel=${t('endpoints.header_name')}
      valueLabel=${t('endpoints.header_value')} addLabel=${t('endpoints.header_add')} />`;
}

/** What there is, without its secret part. */
function keptText(auth) {
  const detail = auth.header ?? auth.username ?? '';
  const text = t('endpoints.auth_kept', { kind: t(`endpoints.auth.${auth.type}`) });
  return html`${text}${detail && html` (<code dir="ltr">${detail}</code>)`}`;
}

const FIELDS = {
  api_key: [['header', 'text'], ['value', 'password']],
  basic: [['username', 'text'], ['password', 'password']],
  bearer: [['token', 'password']],
};

/* messages: endpoints.auth_field.* endpoints.auth_field_hint.* */

function AuthFields({ draft, set, error }) {
  const fields = FIELDS[draft.authKind] ?? [];
  const change = (name) => (value) => set({ auth: { ...draft.auth, [name]: value } });
  return fields.map(([name, type]) => html`<${Field} key=${`${draft.authKind}.${name}`} label=${t(`endpoints.auth_field.${name}`)}
    hint=${t(`endpoints.auth_field_hint.${name}`)} error=${blame(error, `auth.${name}`)}>
    <${TextInput} mono type=${type} autocomplete=${type === 'password' ? 'new-password' : 'off'} value=${draft.auth[name]}
      placeholder=${name === 'header' ? 'x-api-key' : undefined} onInput=${change(name)} />
  <//>`);
}

function SecretForm({ draft, set, error }) {
  return html`
    <${Field} group label=${t('endpoints.secret')} hint=${t('endpoints.secret_hint')}>
      <${Checkbox} type="radio" name="secret-kind" checked=${draft.secretKind === 'minted'} onChange=${() => set({ secretKind: 'minted' })}
        label=${t('endpoints.secret_minted')} hint=${t('endpoints.secret_minted_hint')} />
      <${Checkbox} type="radio" name="secret-kind" checked=${draft.secretKind === 'own'} onChange=${() => set({ secretKind: 'own' })}
        label=${t('endpoints.secret_own')} hint=${t('endpoints.secret_own_hint')} />
    <//>
    ${draft.secretKind === 'own' && html`<${Field} label=${t('endpoints.secret_given')} error=${blame(error, 'secret')}>
      <${TextInput} mono type="password" autocomplete="new-password" value=${draft.secret} onInput=${(secret) => set({ secret })} placeholder="whsec_…" />
    <//>`}`;
}
