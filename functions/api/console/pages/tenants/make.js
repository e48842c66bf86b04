// A new tenant: its id, a name for people and how long its events are kept. Never changes one that there is already.
import { html, useState } from '../../lib/preact.js';
import { api, tenantApi } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { Link, path } from '../../lib/router.js';
import { Button, Dialog, ErrorBox, Field, TextInput } from '../../lib/ui.js';
import { blame, numberOrText } from '../endpoint/blame.js';

const ID = /^[A-Za-z0-9_:-]{1,128}$/;
const FIELDS = ['name', 'retention_days'];

/** True if there is one: `PUT` would change it. */
async function exists(id) {
  try {
    await api('GET', tenantApi(id));
    return true;
  } catch (error) {
    if (error.status === 404) return false;
    throw error;
  }
}

export function MakeTenant({ onClose, onMade }) {
  const [wish, setWish] = useState({ id: '', name: '', days: '30' });
  const [refused, setRefused] = useState({ id: null, error: null, taken: false });
  const [busy, setBusy] = useState(false);
  const set = (name) => (value) => setWish((before) => ({ ...before, [name]: value }));

  const make = async () => {
    if (!ID.test(wish.id) || ['null', 'undefined'].includes(wish.id)) {
      setRefused({ id: t('tenants.id_wrong'), error: null, taken: false });
      return;
    }
    setBusy(true);
    try {
      if (await exists(wish.id)) {
        setRefused({ id: t('tenants.id_taken'), error: null, taken: true });
        return;
      }
      const body = { name: wish.name || wish.id, retention_days: numberOrText(wish.days) };
      onMade(await api('PUT', tenantApi(wish.id), { body }));
    } catch (error) {
      setRefused({ id: blame(error, 'id', 'tenant'), error, taken: false });
    } finally {
      setBusy(false);
    }
  };

  const { error } = refused;
  const isElsewhere = error && !refused.id && !blame(error, ...FIELDS);
  const actions = html`
    <${Button} onClick=${onClose}>${t('common.action.cancel')}<//>
    <${Button} kind="primary" type="submit" busy=${busy}>${t('tenants.make')}<//>`;
  return html`<${Dialog} title=${t('tenants.make')} onClose=${onClose} actions=${actions} onSubmit=${make}>
    <${Field} label=${t('tenants.id')} hint=${t('tenants.id_hint')} error=${refused.id}>
      <${TextInput} value=${wish.id} onInput=${set('id')} mono autocomplete="off" required />
    <//>
    ${refused.taken && html`<p><${Link} href=${path('t', wish.id)}>${t('tenants.open_it')}<//></p>`}
    <${Field} label=${t('tenants.name')} hint=${t('tenants.name_hint')} error=${blame(error, 'name')}>
      <${TextInput} value=${wish.name} onInput=${set('name')} autocomplete="off" />
    <//>
    <${Field} label=${t('tenants.days')} hint=${t('tenants.days_hint')} error=${blame(error, 'retention_days')}>
      <${TextInput} value=${wish.days} onInput=${set('days')} inputmode="numeric" mono />
    <//>
    ${isElsewhere && html`<${ErrorBox} error=${error} />`}
  <//>`;
}
