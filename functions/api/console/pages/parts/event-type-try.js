// Trying a payload out: does it fit the schema, and what does an endpoint answer to it. A test is one request, signed as a
// delivery would be, and stored nowhere.
import { html, useState } from '../../lib/preact.js';
import { api } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { Link } from '../../lib/router.js';
import { Button, Card, Empty, ErrorBox, Field, Notice, Select, TextArea } from '../../lib/ui.js';
import { Exchange } from '../endpoint/exchange.js';
import { endpointOptions, sendSample, useEndpoints } from './endpoints.js';
import { parsed } from './event-type-form.js';
import { endpointPath, endpointsPath, withQuery } from './place.js';
import { Id, Told, inTenant } from './texts.js';

/// What a check found: that it fits, or each misfit with where, what and by which rule.
function Fit({ fit }) {
  if (fit.fits) return html`<${Notice} kind="good" role="status" title=${t('event-types.try.fits')} />`;
  return html`<${Notice} kind="bad" role="status" title=${t('event-types.try.fits_not', { n: fit.misfits.length })}>
    <ul class="misfits">${fit.misfits.map((misfit, n) => html`<li key=${n}>
      <${Id} text=${misfit.path || t('event-types.try.whole')} /> <${Told} text=${misfit.detail} />
      <span class="muted small">${t('event-types.try.rule')} <${Id} text=${misfit.rule} /></span></li>`)}</ul><//>`;
}

/// Sends what the form holds to an endpoint's test.
function Send({ tenant, type, dataOf }) {
  const { data: endpoints, error: unread, reload } = useEndpoints(tenant);
  const [endpoint, setEndpoint] = useState('');
  const [sent, setSent] = useState({});
  const chosen = endpoint || endpoints?.[0]?.id;
  const send = async () => {
    const data = dataOf();
    if (data === undefined || sent.busy) return;
    setSent({ busy: true });
    try {
      setSent({ exchange: await sendSample(tenant, chosen, { type: type.name, data }), endpoint: chosen });
    } catch (error) {
      setSent({ error });
    }
  };
  if (unread) return html`<${ErrorBox} error=${unread} onRetry=${reload} />`;
  if (endpoints?.length === 0) {
    return html`<${Empty} title=${t('event-types.try.no_endpoint.title')} text=${t('event-types.try.no_endpoint.text')}
      action=${html`<${Link} class="button button-primary" href=${`${endpointsPath(tenant)}/new`}>${t('event-types.try.add_endpoint')}<//>`} />`;
  }
  return html`<p class="muted">${t('event-types.try.send_text')}</p>
    <${Field} label=${t('event-types.try.endpoint')}>
      <${Select} value=${chosen ?? ''} options=${endpointOptions(endpoints)} onChange=${setEndpoint} disabled=${!endpoints} /><//>
    <div class="row"><${Button} kind="primary" busy=${sent.busy} disabled=${!chosen} onClick=${send}>${t('event-types.try.send')}<//></div>
    ${sent.error && html`<${ErrorBox} error=${sent.error} onRetry=${send} />`}
    ${sent.exchange && html`<div class="stack" role="status"><${Exchange} exchange=${sent.exchange} />
      <p><${Link} href=${withQuery(endpointPath(tenant, sent.endpoint), { tab: 'test' })}>${t('event-types.try.open_endpoint')}<//></p></div>`}`;
}

export function TryIt({ tenant, type }) {
  const first = JSON.stringify(type.example ?? {}, null, 2);
  const [text, setText] = useState(first);
  const [fault, setFault] = useState(null);
  const [checked, setChecked] = useState({});
  const dataOf = () => {
    const read = parsed(text);
    setFault(read.fault ? t('event-types.wrong.json', { fault: read.fault }) : null);
    return read.value;
  };
  const check = async () => {
    const data = dataOf();
    if (data === undefined || checked.busy) return;
    setChecked({ busy: true });
    try {
      setChecked({ fit: await api('POST', inTenant(tenant, 'event-types', type.name, 'validate'), { body: { data } }) });
    } catch (error) {
      setChecked({ error });
    }
  };
  const change = (value) => { setText(value); setFault(null); setChecked({}); };
  return html`<div class="columns">
    <${Card} title=${t('event-types.try.data')}>
      <${Field} label=${t('event-types.try.payload')} hint=${t('event-types.try.payload_hint')} error=${fault}>
        <${TextArea} value=${text} rows="14" dir="ltr" mono spellcheck="false" onInput=${change} /><//>
      <div class="row"><${Button} kind="primary" busy=${checked.busy} onClick=${check}>${t('event-types.try.check')}<//>
        <${Button} kind="plain" disabled=${text === first} onClick=${() => change(first)}>${t('event-types.try.reset')}<//></div>
      ${checked.error && html`<${ErrorBox} error=${checked.error} onRetry=${check} />`}
      ${checked.fit && html`<${Fit} fit=${checked.fit} />`}
    <//>
    <${Card} title=${t('event-types.try.send_title')}><${Send} tenant=${tenant} type=${type} dataOf=${dataOf} /><//>
  </div>`;
}
