// Replay jobs, newest first, with how far each is; and the form of a new one, which lives in the query string. Starts nothing by
// itself: a link with `?new=event&event=ID` only fills the form in.
import { html, useEffect } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { canWrite } from '../lib/session.js';
import { navigate, path, useQuery } from '../lib/router.js';
import { Time } from '../lib/format.js';
import { Button, Card, Checkbox, Empty, PageHead, Pager, Progress, State, Table, usePages } from '../lib/ui.js';
import { describe, isOver, met } from './parts/replay-job.js';
import { ReplayForm } from './parts/replay-form.js';
import { SOURCES } from './parts/replay-wish.js';
import { replayPath } from './parts/place.js';
import { inTenant } from './parts/texts.js';

export const areas = ['replays'];

/// How often the list is read again while a job is at work, in milliseconds.
const FOLLOW_MS = 4000;
const PAGE_SIZE = 50;

function Done({ job }) {
  if (job.dry_run) return t('replays.counted_n', { n: job.total });
  if (!job.counted) return t('replays.found_n', { n: job.total });
  return html`<${Progress} done=${met(job)} total=${job.total} left_s=${isOver(job) ? null : job.seconds_left} label=${t('replays.progress_column')} />
    ${job.failed > 0 && html`<div class="small"><strong>${t('replays.failed_n', { n: job.failed })}</strong></div>`}`;
}

const columns = () => [
  { key: 'what', label: t('replays.what_column'), cell: (job) => html`<bdi>${describe(job.what)}</bdi>` },
  { key: 'state', label: t('replays.state'), cell: (job) => html`<${State} state=${job.state} reason=${job.dry_run && t('replays.dry_run')} />` },
  { key: 'done', label: t('replays.progress_column'), cell: (job) => html`<${Done} job=${job} />` },
  { key: 'asked_at', label: t('replays.asked'), cell: (job) => html`<${Time} at=${job.asked_at} />` },
];

export function Page({ params }) {
  const { tenant } = params;
  const [query, setQuery] = useQuery();
  const list = usePages(inTenant(tenant, 'replays'), { limit: PAGE_SIZE });
  const isAtWork = list.items.some((job) => !isOver(job) && job.state !== 'paused');
  const isFirstPage = list.items.length <= PAGE_SIZE;

  // Only the first page is read again: what was loaded below it is older, and over more often than not.
  useEffect(() => {
    if (!isAtWork || !isFirstPage || list.loading) return undefined;
    const timer = setInterval(() => { if (!document.hidden) list.reload(); }, FOLLOW_MS);
    return () => clearInterval(timer);
  }, [isAtWork, isFirstPage, list.loading]);

  const showsCounts = query.counts === 'true';
  const rows = showsCounts ? list.items : list.items.filter((job) => !job.dry_run || !isOver(job));
  const isNew = canWrite() && query.new != null;
  const source = Object.hasOwn(SOURCES, query.new ?? '') ? query.new : 'endpoint';
  const begin = html`<${Button} kind="primary" icon="plus" onClick=${() => setQuery({ new: 'endpoint' })}>${t('replays.new')}<//>`;
  const canBegin = canWrite() && !isNew;

  return html`<div class="page stack">
    <${PageHead} title=${t('replays.title')} text=${t('replays.lead')} actions=${canBegin && begin} />
    ${isNew && html`<${ReplayForm} tenant=${tenant} source=${source} query=${query} setQuery=${setQuery}
      onClose=${() => navigate(path('t', tenant, 'replays'))} onStarted=${(job) => navigate(replayPath(tenant, job.id))} />`}
    <${Card} flush title=${t('replays.jobs')} actions=${html`<${Checkbox} label=${t('replays.show_counts')} checked=${showsCounts}
        onChange=${(isOn) => setQuery({ counts: isOn ? 'true' : null })} />`}>
      <${Table} label=${t('replays.jobs')} rows=${rows} columns=${columns()} rowHref=${(job) => replayPath(tenant, job.id)}
        loading=${list.loading} error=${list.error} onRetry=${list.reload}
        empty=${html`<${Empty} icon="replay" title=${t('replays.none.title')} text=${t('replays.none.text')} action=${canBegin && begin} />`} />
      <${Pager} next=${list.next} onMore=${list.more} loading=${list.loadingMore} count=${rows.length} />
    <//>
  </div>`;
}
