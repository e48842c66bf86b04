// Delivering a call's events again: what died, what is held, or all that is concluded; counted by a dry run before anything
// is sent.
import { html, useEffect, useState } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';
import { Button, Dialog, ErrorBox, Field, Loading, Select } from '../../lib/ui.js';
import { isOver, useJob } from './replay-job.js';
import { askReplay } from './requests.js';
import { endpointOptions } from './endpoints.js';

/** What can be sent again; the empty one is all that is concluded. */
const WHICH = ['dead', 'held', 'canceled', 'succeeded', ''];
/** With these, receivers get what they have got before. */
const REPEATS = ['succeeded', ''];

/** How many deliveries it would be: `{count, error}`, the count `null` until it is known. */
function useCount(tenant, call, endpoint, state) {
  const [asked, setAsked] = useState({ job: null, error: null });
  const { job, error } = useJob(tenant, asked.job && !isOver(asked.job) ? asked.job.id : null);
  useEffect(() => {
    let isGone = false;
    setAsked({ job: null, error: null });
    askReplay(tenant, { call_id: call, endpoint, state, dry_run: true })
      .then((made) => { if (!isGone) setAsked({ job: made, error: null }); })
      .catch((failure) => { if (!isGone) setAsked({ job: null, error: failure }); });
    return () => { isGone = true; };
  }, [tenant, call, endpoint, state]);
  const latest = job ?? asked.job;
  return { count: latest?.state === 'done' ? latest.total : null, error: asked.error ?? error };
}

/* messages: calls.replay.of.* */

export function ReplayCall({ tenant, call, endpoints, endpoint: chosen, state: first, onClose, onAsked }) {
  const [state, setState] = useState(first);
  const [endpoint, setEndpoint] = useState(chosen ?? '');
  const { count, error } = useCount(tenant, call, endpoint, state);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState(null);
  const go = async () => {
    if (busy || !count) return;
    setBusy(true);
    setFailure(null);
    try {
      const job = await askReplay(tenant, { call_id: call, endpoint, state });
      onClose();
      onAsked(job);
    } catch (refusal) {
      setFailure(refusal);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${t('calls.replay.title')} onClose=${onClose} onSubmit=${go} actions=${html`
      <${Button} onClick=${onClose}>${t('common.action.cancel')}<//>
      <${Button} kind="primary" type="submit" busy=${busy} disabled=${!count}>
        ${count ? t('calls.replay.now', { n: count }) : t('calls.replay.title')}<//>`}>
    <p>${t('calls.replay.text')}</p>
    <${Field} label=${t('calls.replay.which')}>
      <${Select} value=${state} onChange=${setState}
        options=${WHICH.map((value) => ({ value, label: t(`calls.replay.of.${value || 'all'}`) }))} /><//>
    <${Field} label=${t('calls.endpoint')}>
      <${Select} value=${endpoint} onChange=${setEndpoint} options=${endpointOptions(endpoints, t('calls.all_endpoints'))} /><//>
    <div class="counting" aria-live="polite">
      ${error ? html`<${ErrorBox} error=${error} />`
        : count == null ? html`<${Loading} rows=${1} />`
          : html`<p><strong>${t('calls.replay.count', { n: count })}</strong></p>
            ${count > 0 && REPEATS.includes(state) && html`<p>${t('calls.replay.repeats')}</p>`}`}
    </div>
    ${failure && html`<${ErrorBox} error=${failure} onRetry=${go} />`}
  <//>`;
}
