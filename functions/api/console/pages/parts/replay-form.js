// The form of a new replay: what, narrowed how, counted first, then started. All of it lives in the query string, and so does
// the dry run that counted it: a reload loses nothing. What is changed after the count is counted anew.
import { html, useEffect, useState } from '../../lib/preact.js';
import { api } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { Button, Card, ErrorBox, Field, Loading, Notice, Select, TagInput, TextInput } from '../../lib/ui.js';
import { fromLocalInput, toLocalInput } from '../../lib/ui/filters.js';
import { endpointOptions, useEndpoints } from './endpoints.js';
import { isOver, useJob } from './replay-job.js';
import { MOST_RATE, SOURCES, STATES, bodyOf, faults, fromQuery, toQuery } from './replay-wish.js';
import { inTenant } from './texts.js';

const HOUR_MS = 3_600_000;
/// Stretches of time offered beside the field: how many of which unit.
const LAST = [[1, 'h', HOUR_MS], [24, 'h', HOUR_MS], [7, 'd', 24 * HOUR_MS]];

/* messages: replays.source.* replays.field.* replays.state_name.* replays.form.* */

/// What to replay: one of six, each with a sentence.
function Sources({ source, onChange }) {
  return html`<fieldset class="choices choices-wide"><legend>${t('replays.form.what')}</legend>
    ${Object.keys(SOURCES).map((name) => html`<label key=${name} class="choice">
      <input type="radio" name="source" value=${name} checked=${name === source} onChange=${() => onChange(name)} />
      <span><strong>${t(`replays.source.${name}.name`)}</strong><span class="muted small">${t(`replays.source.${name}.text`)}</span></span>
    </label>`)}
  </fieldset>`;
}

/// A moment: a local time, and how long ago by a button.
function Moment({ name, value, onChange, error, ago }) {
  return html`<${Field} label=${t(`replays.field.${name}`)} error=${error} hint=${t('replays.form.local_time')}>
    <${TextInput} type="datetime-local" dir="ltr" value=${toLocalInput(value)} onInput=${(text) => onChange(fromLocalInput(text) ?? '')} />
    ${ago && html`<div class="row">${LAST.map(([n, unit, ms]) => html`<${Button} key=${n} small
      onClick=${() => onChange(new Date(Date.now() - n * ms).toISOString())}>${t(`replays.form.ago_${unit}`, { n })}<//>`)}</div>`}
  <//>`;
}

function Inputs({ source, form, set, endpoints, wrong }) {
  const { fields, required } = SOURCES[source];
  const has = (name) => fields.includes(name);
  const label = (name) => t(`replays.field.${name}`);
  const error = (name) => (wrong[name] ? t(`replays.form.${wrong[name]}`, { most: MOST_RATE }) : null);
  const id = (name, placeholder) => has(name) && html`<${Field} label=${label(name)} error=${error(name)}>
    <${TextInput} mono value=${form[name]} placeholder=${placeholder}
      onInput=${(text) => set(name, text)} /><//>`;
  const one = (name, none) => has(name) && html`<${Field} label=${label(name)} error=${error(name)}
      hint=${name === 'to' && t('replays.form.to_hint')}>
    <${Select} value=${form[name]} options=${endpointOptions(endpoints, none, form[name])} onChange=${(value) => set(name, value)} /><//>`;
  const list = (name, hint, suggestions) => has(name) && html`<${Field} label=${label(name)} hint=${hint}>
    <${TagInput} values=${form[name]} suggestions=${suggestions} onChange=${(values) => set(name, values)} /><//>`;
  return html`<div class="form-grid">
    ${id('event', 'evt_...')}${id('delivery', 'evt_....ep_...')}${id('call_id', 'call_...')}
    ${one('endpoint', required.includes('endpoint') ? t('replays.form.choose_endpoint') : t('replays.form.every_endpoint'))}
    ${list('endpoints', t('replays.form.endpoints_hint'), (endpoints ?? []).map((endpoint) => endpoint.id))}
    ${has('since') && html`<${Moment} name="since" value=${form.since} error=${error('since')} ago onChange=${(at) => set('since', at)} />`}
    ${has('until') && html`<${Moment} name="until" value=${form.until} error=${error('until')} onChange=${(at) => set('until', at)} />`}
    ${has('state') && html`<${Field} label=${label('state')} hint=${form.state && t(`replays.form.state_${form.state}`)}>
      <${Select} value=${form.state} onChange=${(value) => set('state', value)}
        options=${[{ value: '', label: t('replays.form.all_states') },
          ...STATES.map((value) => ({ value, label: t(`replays.state_name.${value}`) }))]} /><//>`}
    ${has('reason') && form.state && id('reason', 'attempts_exhausted')}
    ${list('event_types', t('replays.form.types_hint'))}${list('agents', t('replays.form.agents_hint'))}
    ${one('to', t('replays.form.to_none'))}
    ${has('rate') && html`<${Field} label=${label('rate')} hint=${t('replays.form.rate_hint', { most: MOST_RATE })} error=${error('rate')}>
      <${TextInput} type="number" inputmode="numeric" min="1" max=${MOST_RATE} mono value=${form.rate}
        onInput=${(text) => set('rate', text)} /><//>`}
  </div>`;
}

/// What the dry run found, and the button that starts the real thing.
function Count({ job, error, reload, busy, onStart }) {
  if (error && !job) return html`<${ErrorBox} error=${error} onRetry=${reload} />`;
  if (!job) return html`<${Loading} rows=${1} />`;
  if (!isOver(job)) return html`<p>${t('replays.progress.counting', { n: job.total })}</p><${Loading} rows=${1} />`;
  if (job.state !== 'done') return html`<${Notice} kind="bad" title=${t('replays.form.count_failed')}><span lang="en" dir="auto">${job.error}</span><//>`;
  if (job.total === 0) return html`<p class="big">${t('replays.form.nothing')}</p><p class="muted">${t('replays.form.nothing_text')}</p>`;
  return html`<p class="big">${t('replays.form.found', { n: job.total })}</p>
    <div class="row"><${Button} kind="primary" busy=${busy} onClick=${onStart}>${t('replays.form.start', { n: job.total })}<//></div>`;
}

export function ReplayForm({ tenant, source, query, setQuery, onClose, onStarted }) {
  const [form, setForm] = useState(() => fromQuery(query));
  const [showsFaults, setShowsFaults] = useState(false);
  const [busy, setBusy] = useState(null);
  const [failure, setFailure] = useState(null);
  const { data: endpoints } = useEndpoints(tenant);
  const dry = useJob(tenant, query.dry);
  const wrong = faults(source, form);

  // A link that fills the form in may arrive while it is open.
  useEffect(() => { setForm(fromQuery(query)); }, [query.new, query.event, query.delivery, query.call_id]);

  const keep = (name, after) => setQuery({ new: name, dry: null, ...toQuery(name, after) }, { replace: true });
  const set = (name, value) => {
    const after = { ...form, [name]: value, ...(name === 'state' && !value ? { reason: '' } : {}) };
    setForm(after);
    setFailure(null);
    keep(source, after);
  };
  const ask = async (step, extra, then) => {
    if (busy) return;
    setShowsFaults(true);
    if (Object.keys(wrong).length > 0) return;
    setBusy(step);
    setFailure(null);
    try {
      then(await api('POST', inTenant(tenant, 'replays'), { body: { ...bodyOf(source, form), ...extra } }));
    } catch (problem) {
      setFailure(problem);
    } finally {
      setBusy(null);
    }
  };
  const count = () => ask('count', { dry_run: true }, (job) => setQuery({ dry: job.id }, { replace: true }));
  // What was counted, and nothing that came after it.
  const end = dry.job?.what.until;
  const isOpenEnd = SOURCES[source].fields.includes('until') && !form.until && end && form.state !== 'held';
  const start = () => ask('start', isOpenEnd ? { until: end } : {}, onStarted);

  return html`<${Card} title=${t('replays.new')} actions=${html`<${Button} kind="quiet" icon="close" label=${t('replays.form.close')} onClick=${onClose} />`}>
    <form class="stack" onSubmit=${(event) => { event.preventDefault(); count(); }} novalidate>
      <${Sources} source=${source} onChange=${(name) => { setShowsFaults(false); keep(name, form); }} />
      <${Notice} kind="info">${t(`replays.source.${source}.note`)}<//>
      <${Inputs} source=${source} form=${form} set=${set} endpoints=${endpoints} wrong=${showsFaults ? wrong : {}} />
      ${failure && html`<${ErrorBox} error=${failure} />`}
      <div class="row"><${Button} kind=${query.dry ? 'plain' : 'primary'} type="submit" busy=${busy === 'count'}>
        ${t(query.dry ? 'replays.form.count_again' : 'replays.form.count')}<//>
        <span class="muted small">${t('replays.form.count_text')}</span></div>
    </form>
    ${query.dry && html`<div class="counting" aria-live="polite"><${Count} job=${dry.job} error=${dry.error} reload=${dry.reload}
      busy=${busy === 'start'} onStart=${start} /></div>`}
  <//>`;
}
