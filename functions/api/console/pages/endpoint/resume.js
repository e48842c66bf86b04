// Delivering to an endpoint again, and what becomes of what was held meanwhile. The numbers come first; nothing is discarded
// without a typed word.
import { html, useState } from '../../lib/preact.js';
import { api, tenantApi } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { Button, Dialog, ErrorBox, useToast } from '../../lib/ui.js';
import { useFollowed } from '../parts/resend.js';
import { newWish, useBacklog } from './backlog.js';
import { BacklogForm, isReady, narrowed } from './backlog-form.js';
import { blame } from './blame.js';
import { order } from './order.js';

const FIELDS = ['backlog', 'action', 'since', 'event_types', 'agents', 'rate'];

const SAID = {
  resume: () => ({ title: t('endpoint.resume_title'), button: t('endpoint.resume') }),
  activate: () => ({ title: t('endpoint.activate_title'), button: t('endpoint.activate') }),
};

/** Resume or activate: `action`. */
export function Resume({ tenant, endpoint, action, onClose, onDone }) {
  const give = (wish) => order(tenant, endpoint, action, { backlog: wish.choice, ...(wish.choice === 'keep' ? {} : narrowed(wish)) });
  const jobOf = (answer) => answer.backlog.replay;
  return html`<${BacklogDialog} tenant=${tenant} endpoint=${endpoint} ...${SAID[action]()}
    choices=${['drain', 'keep', 'discard']} give=${give} jobOf=${jobOf} onClose=${onClose} onDone=${onDone} />`;
}

/** What is held for an endpoint that is delivered to: drained or discarded, whole or in part. */
export function WorkBacklog({ tenant, endpoint, canDrain, onClose, onDone }) {
  const give = (wish) => api('POST', tenantApi(tenant, 'endpoints', endpoint.id, 'backlog'), { body: { action: wish.choice, ...narrowed(wish) } });
  return html`<${BacklogDialog} tenant=${tenant} endpoint=${endpoint} title=${t('endpoint.backlog_title')} button=${t('endpoint.go')}
    choices=${canDrain ? ['drain', 'discard'] : ['discard']} give=${give} jobOf=${(job) => job.id} onClose=${onClose} onDone=${onDone} />`;
}

function BacklogDialog({ tenant, endpoint, title, button, choices, give, jobOf, onClose, onDone }) {
  const [wish, setWish] = useState(newWish(choices[0]));
  const [state, setState] = useState({ busy: false, error: null });
  const backlog = useBacklog(tenant, endpoint.id, wish);
  const { follow } = useFollowed();
  const toast = useToast();
  const set = (part) => setWish((before) => ({ ...before, ...part }));
  const isRunnable = isReady(wish) && backlog.isSettled;

  const go = async () => {
    if (!isRunnable || state.busy) return;
    setState({ busy: true, error: null });
    try {
      const answer = await give(wish);
      const job = jobOf(answer);
      toast(t(job ? 'endpoint.job_begun' : 'endpoint.done'));
      if (job) follow({ id: job });
      onDone(answer);
    } catch (error) {
      setState({ busy: false, error });
    }
  };

  const actions = html`
    <${Button} onClick=${onClose}>${t('common.action.cancel')}<//>
    <${Button} kind=${wish.choice === 'discard' ? 'danger' : 'primary'} type="submit" busy=${state.busy} disabled=${!isRunnable}>${button}<//>`;
  return html`<${Dialog} wide title=${title} onClose=${onClose} actions=${actions} onSubmit=${go}>
    <${BacklogForm} choices=${choices} wish=${wish} set=${set} backlog=${backlog} error=${state.error} />
    ${state.error && !blame(state.error, ...FIELDS) && html`<${ErrorBox} error=${state.error} />`}
  <//>`;
}
