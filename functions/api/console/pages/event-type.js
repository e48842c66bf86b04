// One event type: what its payload looks like, an example, trying a payload out, and, if it is the tenant's own, changing it.
import { html, useState } from '../lib/preact.js';
import { api } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { canWrite } from '../lib/session.js';
import { Link, path, useQuery } from '../lib/router.js';
import { Time } from '../lib/format.js';
import { Button, Confirm, Copy, Empty, ErrorBox, Loading, Notice, PageHead, Tabs, useAsync, useToast } from '../lib/ui.js';
import { Json } from '../lib/json.js';
import { TypeBadges, TypeForm, groupName } from './parts/event-type-form.js';
import { TryIt } from './parts/event-type-try.js';
import { Schema } from './parts/schema.js';
import { eventsPath, withQuery } from './parts/place.js';
import { inTenant } from './parts/texts.js';

export const areas = ['event-types', 'endpoint', 'deliveries'];

/// What can be done to an own type in a state.
const ORDERS = { active: ['deprecate', 'archive'], deprecated: ['restore', 'archive'], archived: ['restore'] };

/* messages: event-types.order.* event-types.ordered.* event-types.ask.* event-types.tab.* event-types.state_text.* */

/// Deprecate, archive, restore: what is refused or warned of from then on is said before it is done.
function Orders({ tenant, type, onChanged }) {
  const [asked, setAsked] = useState(null);
  const [busy, setBusy] = useState(null);
  const [error, setError] = useState(null);
  const toast = useToast();
  const order = async (name) => {
    setBusy(name);
    setError(null);
    try {
      const changed = await api('POST', inTenant(tenant, 'event-types', type.name, name));
      toast(t(`event-types.ordered.${name}`, { name: type.name }));
      onChanged(changed);
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(null);
      setAsked(null);
    }
  };
  return html`<div class="row">
    ${(ORDERS[type.state] ?? []).map((name) => html`<${Button} key=${name} kind=${name === 'archive' ? 'danger' : 'plain'} busy=${busy === name}
      onClick=${() => (name === 'restore' ? order(name) : setAsked(name))}>${t(`event-types.order.${name}`)}<//>`)}
    ${asked && html`<${Confirm} title=${t(`event-types.ask.${asked}.title`, { name: type.name })} text=${t(`event-types.ask.${asked}.text`)}
      action=${t(`event-types.order.${asked}`)} danger=${asked === 'archive'} onClose=${() => setAsked(null)} onConfirm=${() => order(asked)} />`}
    ${error && html`<${ErrorBox} error=${error} />`}
  </div>`;
}

function Example({ type }) {
  if (type.example == null) return html`<${Empty} title=${t('event-types.no_example.title')} text=${t('event-types.no_example.text')} />`;
  return html`<${Json} text=${JSON.stringify(type.example, null, 2)} label=${t('event-types.tab.example')} />`;
}

function SchemaTab({ type }) {
  const [isRaw, setIsRaw] = useState(false);
  return html`<div class="row"><${Button} aria-pressed=${String(isRaw)} onClick=${() => setIsRaw(!isRaw)}>
      ${t(isRaw ? 'event-types.as_table' : 'event-types.as_json')}<//></div>
    ${isRaw ? html`<${Json} text=${JSON.stringify(type.schema, null, 2)} label=${t('event-types.tab.schema')} />`
      : html`<${Schema} schema=${type.schema} lang=${type.origin === 'shipped' ? 'en' : null} />`}`;
}

function Head({ tenant, type, crumbs, actions }) {
  return html`<${PageHead} title=${html`<code dir="ltr">${type.name}</code>`} tab=${type.name} crumbs=${crumbs} actions=${actions}
      after=${html`<${Copy} text=${type.name} />`}
      text=${type.description && html`<span dir="auto" lang=${type.origin === 'shipped' ? 'en' : null}>${type.description}</span>`} />
    <p class="row"><span class="muted"><bdi>${groupName(type.group)}</bdi></span><${TypeBadges} type=${type} />
      <${Link} href=${withQuery(eventsPath(tenant), { type: type.name })}>${t('event-types.see_events')}<//>
      ${type.updated_at && html`<span class="muted small">${t('event-types.changed')} <${Time} at=${type.updated_at} /></span>`}</p>
    ${type.state !== 'active' && html`<${Notice} kind="warn">${t(`event-types.state_text.${type.state}`)}<//>`}`;
}

export function Page({ params }) {
  const { tenant } = params;
  const name = params.type;
  const [query, setQuery] = useQuery();
  const { data, error, reload, setData } = useAsync(({ signal }) => api('GET', inTenant(tenant, 'event-types', name), { signal }), [tenant, name]);
  const type = data?.name === name ? data : null;
  const crumbs = [{ label: t('event-types.title'), href: path('t', tenant, 'event-types') }];
  if (!type) {
    return html`<div class="page stack"><${PageHead} title=${name} crumbs=${crumbs} />
      ${error ? html`<${ErrorBox} error=${error} onRetry=${reload} />` : html`<${Loading} />`}</div>`;
  }
  const mayChange = canWrite() && type.origin === 'own';
  // Checking a payload is a POST: whoever may only look may not.
  const tabs = ['schema', 'example', ...(canWrite() ? ['try'] : []), ...(mayChange ? ['change'] : [])];
  const active = tabs.includes(query.tab) ? query.tab : 'schema';
  return html`<div class="page stack">
    <${Head} tenant=${tenant} type=${type} crumbs=${crumbs} actions=${mayChange && html`<${Orders} tenant=${tenant} type=${type} onChanged=${setData} />`} />
    <${Tabs} label=${type.name} tabs=${tabs.map((key) => ({ key, label: t(`event-types.tab.${key}`) }))} active=${active}
      onChange=${(tab) => setQuery({ tab: tab === 'schema' ? null : tab })}>
      ${active === 'schema' && html`<${SchemaTab} type=${type} />`}
      ${active === 'example' && html`<${Example} type=${type} />`}
      ${active === 'try' && html`<${TryIt} key=${type.name} tenant=${tenant} type=${type} />`}
      ${active === 'change' && html`<${TypeForm} key=${type.updated_at} tenant=${tenant} type=${type} onSaved=${setData} />`}
    <//>
  </div>`;
}
