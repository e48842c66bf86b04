// One replay job: how far it is, what came of it, what was asked for, and its orders. Its id is in the URL: a reload goes on.
import { html } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { canWrite } from '../lib/session.js';
import { Link, path } from '../lib/router.js';
import { Time, number } from '../lib/format.js';
import { Card, ErrorBox, Id, KeyValue, Loading, PageHead, Stat, State } from '../lib/ui.js';
import { JobOrders, JobProgress, WhatList, describe, isOver, useJob } from './parts/replay-job.js';
import { linkOf } from './parts/replay-wish.js';
import { deliveriesPath, eventPath, withQuery } from './parts/place.js';

export const areas = ['replays'];

/// What can be done after a job: the real thing after a dry run, the deliveries it made, what is left.
function Next({ tenant, job }) {
  if (!isOver(job)) return null;
  const { what } = job;
  const links = [];
  const again = what.action === 'discard' || what.deliveries || !canWrite() ? null : linkOf(tenant, job);
  if (again && !(job.dry_run && job.total === 0)) links.push([again, t(job.dry_run ? 'replays.start_this' : 'replays.again')]);
  if (!job.dry_run && what.endpoint) {
    links.push([withQuery(deliveriesPath(tenant), { endpoint: what.to ?? what.endpoint }), t('replays.see_deliveries')]);
  }
  if (!job.dry_run && what.event) links.push([eventPath(tenant, what.event), t('replays.see_event')]);
  if (what.state === 'dead') links.push([path('t', tenant, 'dead-letters'), t('replays.see_dead_letters')]);
  return links.length === 0 ? null
    : html`<nav class="row" aria-label=${t('replays.next')}>${links.map(([href, text]) => html`
        <${Link} key=${href} href=${href} class="button button-plain">${text}<//>`)}</nav>`;
}

/* messages: replays.time.* */
function Times({ job }) {
  const times = ['asked_at', 'started_at', 'updated_at', 'finished_at'].map((name) =>
    [t(`replays.time.${name}`), job[name] && html`<${Time} at=${job[name]} mode="exact" />`]);
  return html`<${KeyValue} items=${[...times,
    [t('replays.field.rate'), job.rate == null ? t('replays.rate_none') : t('replays.rate_n', { n: job.rate })]]} />`;
}

function Numbers({ job }) {
  const isDiscard = job.what.action === 'discard';
  return html`<div class="grid">
    <${Stat} label=${t('replays.stat.total')} value=${number(job.total)} hint=${t(job.counted ? 'replays.stat.total_hint' : 'replays.stat.total_sofar')} />
    ${!job.dry_run && html`
      <${Stat} label=${t(isDiscard ? 'replays.stat.discarded' : 'replays.stat.done')} value=${number(job.done)}
        hint=${t(isDiscard ? 'replays.stat.discarded_hint' : 'replays.stat.done_hint')} />
      <${Stat} label=${t('replays.stat.skipped')} value=${number(job.skipped)} hint=${t('replays.stat.skipped_hint')} />
      <${Stat} label=${t('replays.stat.failed')} value=${number(job.failed)} hint=${t('replays.stat.failed_hint')} />`}
  </div>`;
}

export function Page({ params }) {
  const { tenant, replay } = params;
  const { job, error, reload } = useJob(tenant, replay);
  const crumbs = [{ label: t('replays.title'), href: path('t', tenant, 'replays') }];
  if (!job) {
    return html`<div class="page stack"><${PageHead} title=${t('replays.job')} crumbs=${crumbs} />
      ${error ? html`<${ErrorBox} error=${error} onRetry=${reload} />` : html`<${Loading} />`}</div>`;
  }
  return html`<div class="page stack">
    <${PageHead} title=${describe(job.what)} crumbs=${crumbs} after=${html`<${State} state=${job.state} reason=${job.dry_run && t('replays.dry_run')} />`}
      actions=${canWrite() && html`<${JobOrders} tenant=${tenant} job=${job} onChanged=${reload} />`} />
    <p><${Id} value=${job.id} copy /></p>
    ${error && html`<${ErrorBox} error=${error} onRetry=${reload} />`}
    <${Card}><${JobProgress} job=${job} />
      ${job.dry_run && html`<p class="muted">${t('replays.dry_run_text')}</p>`}
      <${Next} tenant=${tenant} job=${job} /><//>
    <${Numbers} job=${job} />
    <div class="columns">
      <${Card} title=${t('replays.asked_for')}><${WhatList} tenant=${tenant} what=${job.what} /><//>
      <${Card} title=${t('replays.times')}><${Times} job=${job} /><//>
    </div>
  </div>`;
}
