// A call whose tenant nobody knows: every tenant is asked for it, with progress, until it is found or somebody says enough. The id is
// in the address, so that a search can be sent to somebody. Reads only.
import { html, useEffect, useRef, useState } from '../../lib/preact.js';
import { api, errorText, pages, tenantApi } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { Time } from '../../lib/format.js';
import { Link, path, useQuery } from '../../lib/router.js';
import { Button, Card, Field, Id, Progress, TextInput } from '../../lib/ui.js';
import { MOST_TENANTS, searchTenants } from './call-search.js';

/** Tenants of a page of the list: the most that the API gives. */
const PAGE = 100;

async function* tenantPages(signal) {
  for await (const { items } of pages('/v1/tenants', { limit: PAGE }, { signal })) yield items;
}

/** The first event of the call, or `null`. */
const askFor = (call) => async (tenant, signal) =>
  (await api('GET', tenantApi(tenant.id, 'calls', call, 'events'), { query: { limit: 1 }, signal })).items[0] ?? null;

/** What a search for `call` has found so far; `stop` ends it. `null` without a call. */
function useSearch(call) {
  const [state, setState] = useState(null);
  const running = useRef(null);
  useEffect(() => {
    setState(null);
    if (!call) return undefined;
    const controller = new AbortController();
    running.current = controller;
    const tell = (progress) => setState({ ...progress, at: 'work' });
    tell({ asked: 0, known: 0, failed: 0, hits: [], isCut: false });
    const work = async () => {
      try {
        const progress = await searchTenants(tenantPages(controller.signal), askFor(call), tell, controller.signal);
        if (!controller.signal.aborted) setState({ ...progress, at: 'done' });
      } catch (error) {
        if (!controller.signal.aborted) setState((before) => ({ ...before, at: 'failed', error }));
      }
    };
    work();
    return () => controller.abort();
  }, [call]);
  const stop = () => {
    running.current?.abort();
    setState((before) => ({ ...before, at: 'stopped' }));
  };
  return { state, stop };
}

export function FindCall() {
  const [query, setQuery] = useQuery();
  const call = query.call ?? '';
  const [text, setText] = useState(call);
  const { state, stop } = useSearch(call);
  useEffect(() => setText(call), [call]);
  const search = (event) => {
    event.preventDefault();
    setQuery({ call: text.trim() });
  };
  return html`<${Card} title=${t('tenants.call.title')} text=${t('tenants.call.about')} class="find-call">
    <form class="row row-fields" role="search" aria-label=${t('tenants.call.title')} onSubmit=${search}>
      <${Field} label=${t('tenants.call.id')}><${TextInput} mono value=${text} onInput=${setText} placeholder="call_77" /><//>
      <${Button} type="submit" icon="search">${t('tenants.call.ask')}<//>
      ${call && state?.at !== 'work' && html`<${Button} kind="quiet" onClick=${() => setQuery({ call: null })}>${t('tenants.call.clear')}<//>`}
    </form>
    ${state && html`<${Found} call=${call} state=${state} stop=${stop} />`}
  <//>`;
}

/* messages: tenants.call.at.* */

function Found({ call, state, stop }) {
  const { asked, known, failed, hits, isCut, at, error } = state;
  return html`<div class="stack stack-tight">
    ${hits.length > 0 && html`<ul class="plain-list">${hits.map(({ tenant, found }) => html`<li key=${tenant.id} class="call-hit-row">
      <${Link} href=${path('t', tenant.id, 'calls', call)}><bdi>${tenant.name || tenant.id}</bdi><//> <span class="small muted"><${Id} value=${tenant.id} /></span>
      <span class="small muted"><bdi class="mono" dir="ltr">${found.type}</bdi> · <${Time} at=${found.occurred_at} mode="exact" /></span></li>`)}</ul>`}
    ${at === 'work' && html`<div class="row"><${Progress} done=${asked} total=${known || null} label=${t('tenants.call.title')} />
      <${Button} small onClick=${stop}>${t('common.action.cancel')}<//></div>`}
    <p role="status" class=${hits.length === 0 && at !== 'work' ? '' : 'small muted'}>${at === 'work' ? t('tenants.call.at.work', { n: asked })
      : [t('tenants.call.hits', { n: hits.length }), t(`tenants.call.at.${at}`, { n: asked })].join(' ')}
      ${failed > 0 && ` ${t('tenants.call.failed', { n: failed })}`}${isCut && ` ${t('tenants.call.cut', { n: MOST_TENANTS })}`}</p>
    ${at === 'failed' && html`<p class="field-error">${errorText(error)}</p>`}
  </div>`;
}
