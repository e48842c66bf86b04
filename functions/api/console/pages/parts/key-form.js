// A new key: what it may do, until when, from where; and its text, which is shown here once and never again.
import { html, useState } from '../../lib/preact.js';
import { api, all } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { Time } from '../../lib/format.js';
import { Button, Checkbox, Dialog, ErrorBox, Field, Id, KeyValue, Notice, Secret, Select, TagInput, TextInput, useAsync } from '../../lib/ui.js';

const SCOPES = ['ingest', 'tenant', 'operator'];
/// Days offered; the empty one is never.
const LIFETIMES = ['', '30', '90', '365'];
const USUAL_LIFETIME = '365';
const DAY_S = 86_400;
const MOST_NAME = 200;
/// The API's most: networks of a key.
const MOST_NETWORKS = 50;
/// Tenants offered; another one's id can be typed.
const MOST_TENANTS = 500;
const TENANT = /^[A-Za-z0-9_:-]{1,128}$/;

/// An address or a CIDR block, IPv4 or IPv6, roughly: the server looks closely.
const NETWORK = /^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)(\/[0-9]{1,3})?$/;

/// What is wrong with a list of networks, in words; `null`: nothing.
export function networkFault(networks) {
  const wrong = networks.find((network) => !NETWORK.test(network));
  if (wrong) return t('keys.network_wrong', { network: wrong });
  return networks.length > MOST_NETWORKS ? t('keys.networks_many', { n: MOST_NETWORKS }) : null;
}

/* messages: keys.scope.* */

function Scopes({ scope, setScope, tenant, setTenant, error }) {
  const { data: tenants } = useAsync(({ signal }) => all('/v1/tenants', {}, { signal, most: MOST_TENANTS }), []);
  return html`<fieldset class="choices"><legend>${t('keys.may')}</legend>${SCOPES.map((name) => html`
      <label key=${name} class="choice"><input type="radio" name="scope" value=${name} checked=${scope === name} onChange=${() => setScope(name)} />
        <span><strong>${t(`keys.scope.${name}.name`)}</strong> <span class="muted small">${t(`keys.scope.${name}.text`)}</span></span></label>`)}
    </fieldset>
    ${scope === 'operator' && html`<${Notice} kind="warn">${t('keys.operator_warning')}<//>`}
    ${scope === 'tenant' && html`<${Field} label=${t('keys.tenant')} error=${error}>
      <${TextInput} mono value=${tenant} list="key-tenants" onInput=${(text) => setTenant(text.trim())} />
      <datalist id="key-tenants">${(tenants ?? []).map(({ id, name }) => html`<option key=${id} value=${id}>${name}</option>`)}</datalist><//>`}`;
}

export function KeyForm({ tenant: first, onMade, onClose }) {
  const [scope, setScope] = useState(first ? 'tenant' : 'ingest');
  const [tenant, setTenant] = useState(first ?? '');
  const [name, setName] = useState('');
  const [days, setDays] = useState(USUAL_LIFETIME);
  const [networks, setNetworks] = useState([]);
  const [isShown, setIsShown] = useState(false);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState(null);
  const wrongTenant = scope === 'tenant' && !TENANT.test(tenant) ? t('keys.tenant_wrong') : null;
  const wrongNetwork = networkFault(networks);

  const make = async () => {
    setIsShown(true);
    if (busy || wrongTenant || wrongNetwork) return;
    setBusy(true);
    setFailure(null);
    const body = { scope: scope === 'tenant' ? `tenant:${tenant}` : scope };
    if (name.trim()) body.name = name.trim();
    if (days) body.expires_in_s = Number(days) * DAY_S;
    if (networks.length > 0) body.allowed_networks = networks;
    try {
      onMade(await api('POST', '/v1/keys', { body }));
    } catch (problem) {
      setFailure(problem);
      setBusy(false);
    }
  };

  return html`<form class="stack form-narrow" novalidate onSubmit=${(event) => { event.preventDefault(); make(); }}>
    <${Scopes} scope=${scope} setScope=${setScope} tenant=${tenant} setTenant=${setTenant} error=${isShown ? wrongTenant : null} />
    <${Field} label=${t('keys.name')} hint=${t('keys.name_hint')} optional>
      <${TextInput} value=${name} maxlength=${MOST_NAME} placeholder=${t('keys.name_example')} onInput=${setName} /><//>
    <${Field} label=${t('keys.expires')} hint=${days ? null : t('keys.never_hint')}>
      <${Select} value=${days} onChange=${setDays} options=${LIFETIMES.map((value) => ({
        value, label: value ? t('keys.lifetime', { n: Number(value) }) : t('keys.expires_never') }))} /><//>
    <${Field} label=${t('keys.networks')} hint=${t('keys.networks_hint')} error=${isShown ? wrongNetwork : null} optional>
      <${TagInput} values=${networks} onChange=${setNetworks} placeholder="203.0.113.0/24" /><//>
    ${failure && html`<${ErrorBox} error=${failure} />`}
    <div class="row"><${Button} kind="primary" type="submit" busy=${busy}>${t('keys.make')}<//>
      <${Button} onClick=${onClose}>${t('keys.back')}<//></div>
  </form>`;
}

/// The only moment in which a key can be read: closing takes a tick that it was kept.
export function MadeKey({ made, onClose }) {
  const [isKept, setIsKept] = useState(false);
  return html`<${Dialog} title=${t('keys.made_title')} onClose=${() => isKept && onClose()} actions=${html`
      <${Button} kind="primary" disabled=${!isKept} onClick=${onClose}>${t('keys.done')}<//>`}>
    <p><strong>${t('keys.made_text')}</strong></p>
    <${Secret} value=${made.key} label=${t('keys.text')} />
    <${KeyValue} items=${[
      [t('keys.may'), html`<${Id} value=${made.scope} />`],
      [t('keys.expires'), made.expires_at ? html`<${Time} at=${made.expires_at} mode="exact" />` : t('keys.expires_never')],
      [t('keys.from'), made.allowed_networks && t('keys.networks_n', { n: made.allowed_networks.length })],
    ]} />
    <p class="muted small">${t('keys.made_use', { name: 'Authorization: Bearer' })}</p>
    <${Checkbox} checked=${isKept} onChange=${setIsKept} label=${t('keys.kept')} />
  <//>`;
}
