// Trying an endpoint out: choose a type, change the sample, send it, see the whole exchange. A test is no delivery: nothing of it
// is stored or retried.
import { html, useEffect, useMemo, useRef, useState } from '../../lib/preact.js';
import { api, tenantApi } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { Button, ErrorBox, Field, Loading, Select, TextArea } from '../../lib/ui.js';
import { blame, wantsType } from './draft.js';
import { Exchange, testLimitText } from './exchange.js';

/** How high the sample is, in lines. */
const LEAST_ROWS = 8;
const MOST_ROWS = 24;

/** What is offered first, if the endpoint wants it: what Redial itself would choose. */
const USUAL_TYPE = 'call.ended';

/** As typed: where the browser can, numbers keep their spelling, as 1.50 or one with thirty digits. */
const parsed = (text) => JSON.parse(text, (_, value, { source } = {}) =>
  (typeof value === 'number' && source && JSON.rawJSON ? JSON.rawJSON(source) : value));

const pretty = (value) => JSON.stringify(value, null, 2);

/**
 * @param {{tenant: string, endpoint: object, types: {data: object[]|null, error: object, reload: Function}, canSend: boolean,
 *   onExchange?: (exchange: object) => void, isWide?: boolean}} props `isWide`: the exchange stands beside the sample
 */
export function TestPanel({ tenant, endpoint, types, canSend, onExchange, isWide = false }) {
  const offered = useMemo(() => offeredTypes(types.data ?? [], endpoint.event_types), [types.data, endpoint.event_types]);
  const [chosen, setChosen] = useState(null);
  const name = chosen ?? usual(offered);
  const example = types.data?.find((type) => type.name === name)?.example ?? {};
  const [edited, setEdited] = useState(null);
  const [sent, setSent] = useState({ exchange: null, error: null, busy: false });
  const result = useRef(null);
  const text = edited ?? pretty(example);
  const broken = edited === null ? null : brokenJson(edited);
  useEffect(() => { if (sent.exchange) result.current?.focus(); }, [sent.exchange]);

  const send = async () => {
    setSent({ exchange: null, error: null, busy: true });
    try {
      // The example as it is brings its links and related ids along; a changed one stands alone.
      const body = edited === null ? { type: name } : { type: name, data: parsed(edited) };
      const exchange = await api('POST', tenantApi(tenant, 'endpoints', endpoint.id, 'test'), { body });
      setSent({ exchange, error: null, busy: false });
      onExchange?.(exchange);
    } catch (error) {
      setSent({ exchange: null, error, busy: false });
    }
  };

  if (types.error) return html`<${ErrorBox} error=${types.error} onRetry=${types.reload} />`;
  if (!types.data) return html`<${Loading} />`;
  const { error } = sent;
  const isElsewhere = error && !blame(error, 'type', 'data');
  return html`<div class=${isWide ? 'test-wide' : 'stack'}><div class="stack">
    <${Field} label=${t('endpoint.test_type')} hint=${t('endpoint.test_type_hint')} error=${blame(error, 'type')}>
      <${Select} value=${name} options=${offered.map((type) => ({ value: type, label: type }))}
        onChange=${(type) => { setChosen(type); setEdited(null); }} />
    <//>
    <${Field} label=${t('endpoint.sample')} hint=${t('endpoint.sample_hint')} error=${broken ?? blame(error, 'data')}>
      <${TextArea} mono rows=${Math.max(LEAST_ROWS, Math.min(MOST_ROWS, text.split('\n').length + 1))} value=${text} onInput=${setEdited} />
    <//>
    <div class="actions">
      ${canSend && html`<${Button} kind="primary" icon="send" busy=${sent.busy} disabled=${broken !== null || !name} onClick=${send}>${t('endpoint.send_test')}<//>`}
      ${edited !== null && html`<${Button} onClick=${() => setEdited(null)}>${t('endpoint.reset_sample')}<//>`}
      <span class="muted">${canSend ? testLimitText() : t('endpoint.read_only')}</span>
    </div>
    </div><div class="stack">
    <div aria-live="polite">
      ${isWide && !sent.busy && !sent.exchange && !sent.error && html`<p class="test-empty muted">${t('endpoint.exchange_here')}</p>`}
      ${sent.busy && html`<p class="muted">${t('endpoint.testing', { n: Math.round(endpoint.timeout_ms / 1000) })}</p>`}
      ${isElsewhere && html`<${ErrorBox} error=${error} onRetry=${send} />`}
    </div>
    ${sent.exchange && html`<section ref=${result} tabindex="-1" aria-label=${t('endpoint.exchange')}><${Exchange} exchange=${sent.exchange} /></section>`}
  </div></div>`;
}

/** The types that the endpoint wants, and names that it wants and no catalogue has. */
function offeredTypes(types, wanted) {
  const known = types.filter((type) => type.state !== 'archived' && wantsType(wanted, type.name)).map((type) => type.name);
  const others = wanted.filter((pattern) => !pattern.endsWith('.*') && !types.some((type) => type.name === pattern));
  return [...known, ...others];
}

const usual = (offered) => (offered.includes(USUAL_TYPE) ? USUAL_TYPE : offered[0] ?? '');

function brokenJson(text) {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return t('endpoint.sample_broken', { why: error.message });
  }
}
