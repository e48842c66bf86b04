// The secret of an endpoint: hidden until somebody asks, copied, and the code that verifies with it. The page asks the API for it
// only then, and forgets it when it is left.
import { html, useState } from '../../lib/preact.js';
import { api, tenantApi } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { Time } from '../../lib/format.js';
import { Code, Field, Secret, Tabs } from '../../lib/ui.js';
import { snippetsFor } from './snippets.js';

export const readSecrets = (tenant, endpoint) => api('GET', tenantApi(tenant, 'endpoints', endpoint, 'secret'));

/** @param {{tenant: string, endpoint: string, known?: object|null}} props `known`: the answer of a rotation or a creation, shown as it is */
export function SecretFields({ tenant, endpoint, known = null }) {
  const [read, setRead] = useState(null);
  const secrets = known ?? read;
  const reveal = async () => {
    const answer = await readSecrets(tenant, endpoint);
    setRead(answer);
    return answer.secret;
  };
  return html`
    <${Field} group label=${t('endpoints.secret')} hint=${t('endpoint.secret_hint')}>
      <${Secret} key=${known?.secret ?? 'current'} value=${known?.secret} reveal=${reveal} label=${t('endpoints.secret')} />
    <//>
    ${secrets?.previous && html`<${Field} group label=${t('endpoint.previous_secret')}
      hint=${html`${t('endpoint.previous_until')} <${Time} at=${secrets.previous.expires_at} mode="exact" />`}>
      <${Secret} reveal=${async () => secrets.previous.secret} label=${t('endpoint.previous_secret')} />
    <//>`}`;
}

/** The secret part of each kind of authentication. */
const SECRET_PART = { api_key: 'value', basic: 'password', bearer: 'token' };

/* messages: endpoints.auth_field.* */

/** Values of authentication and headers, each hidden until somebody asks. */
export function OtherSecrets({ tenant, endpoint }) {
  const { auth, header_names: headers } = endpoint;
  const part = auth && SECRET_PART[auth.type];
  const rows = [
    ...(auth ? [{ label: t(`endpoints.auth_field.${part}`), of: (secrets) => secrets.auth[part] }] : []),
    // A user without a password is the secret itself, and shown as such.
    ...(auth?.type === 'basic' ? [{ label: t('endpoints.auth_field.username'), of: (secrets) => secrets.auth.username }] : []),
    ...headers.map((name) => ({ label: name, isCode: true, of: (secrets) => secrets.headers[name] })),
  ];
  return rows.map(({ label, isCode, of }) => html`<${Field} group key=${label} label=${isCode ? html`<code dir="ltr">${label}</code>` : label}>
    <${Secret} label=${label} reveal=${async () => of(await readSecrets(tenant, endpoint.id))} />
  <//>`);
}

/** How the receiver verifies, in the reader's language of programming. */
export function Verification({ profile }) {
  const snippets = snippetsFor(profile);
  const [active, setActive] = useState(snippets[0].id);
  const shown = snippets.find((snippet) => snippet.id === active) ?? snippets[0];
  return html`<section class="verify stack">
    <h3>${t('endpoint.verify')}</h3>
    <p>${t(profile === 'voicehub' ? 'endpoint.verify_voicehub' : 'endpoint.verify_standard')}</p>
    <${Tabs} tabs=${snippets.map(({ id, label }) => ({ key: id, label }))} active=${shown.id} onChange=${setActive} label=${t('endpoint.verify')} />
    <${Code} text=${shown.code} language=${shown.language} />
    <ul class="hints">
      <li>${t('endpoint.verify_raw')}</li>
      <li>${t('endpoint.verify_twice')}</li>
      <li>${t('endpoint.verify_quick')}</li>
    </ul>
  </section>`;
}
