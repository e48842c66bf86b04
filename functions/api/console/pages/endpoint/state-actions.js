// What can be done to the state of an endpoint: activate, pause, resume; with what becomes of its backlog. What is being asked is in
// the address: another page can lead to the question. It only asks: what is done is `order`'s.
import { html } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';
import { useQuery } from '../../lib/router.js';
import { Button, Confirm, later } from '../../lib/ui.js';
import { order, useOrder } from './order.js';

const Resume = later(() => import('./resume.js'), 'Resume', { quiet: true });

/** What the state of an endpoint allows. */
const allowed = (endpoint) => ({
  pause: endpoint.state === 'active',
  resume: endpoint.state === 'paused' || endpoint.state === 'disabled' || endpoint.hold !== null,
  activate: endpoint.state === 'inactive',
});

/** `canTest`: false where the test itself is. */
export function StateActions({ tenant, endpoint, health, reload, onTab, canTest }) {
  const [query, setQuery] = useQuery();
  const may = allowed(endpoint);
  const asking = may[query.do] === true ? query.do : null;
  const ask = (what) => setQuery({ do: what });
  const close = () => ask(null);
  const changed = () => {
    close();
    reload();
  };
  const waiting = health.data?.held.count ?? 0;
  const shared = { tenant, endpoint, onClose: close, onDone: changed };
  return html`
    ${canTest && html`<${Button} icon="send" onClick=${() => onTab('test')}>${t('endpoint.send_test')}<//>`}
    ${may.pause && html`<${Button} icon="pause" onClick=${() => ask('pause')}>${t('endpoint.pause')}<//>`}
    ${may.resume && html`<${Button} kind="primary" icon="play" onClick=${() => ask('resume')}>${t(endpoint.hold ? 'endpoint.resume_held' : 'endpoint.resume')}<//>`}
    ${may.activate && html`<${Button} kind="primary" icon="play" onClick=${() => ask('activate')}>${t('endpoint.activate')}<//>`}
    ${asking === 'pause' && html`<${Pause} ...${shared} />`}
    ${asking === 'activate' && health.data && waiting === 0 && html`<${Activate} ...${shared} />`}
    ${(asking === 'resume' || (asking === 'activate' && waiting > 0)) && html`<${Resume} ...${shared} action=${asking} />`}`;
}

function Pause({ tenant, endpoint, onClose, onDone }) {
  const { ask, error } = useOrder(() => order(tenant, endpoint, 'pause'), t('endpoint.paused_now'), onDone);
  return html`<${Confirm} title=${t('endpoint.pause_title')} text=${t('endpoint.pause_text')} action=${t('endpoint.pause')} danger=${false}
    error=${error} onConfirm=${ask} onClose=${onClose} />`;
}

function Activate({ tenant, endpoint, onClose, onDone }) {
  const { ask, error } = useOrder(() => order(tenant, endpoint, 'activate'), t('endpoint.activated_now'), onDone);
  return html`<${Confirm} title=${t('endpoint.activate_title')} text=${t('endpoint.activate_text')} action=${t('endpoint.activate')} danger=${false}
    error=${error} onConfirm=${ask} onClose=${onClose} />`;
}
