// The secret of an endpoint in its settings: shown on demand, rotated with an overlap in which both sign.
import { html, useState } from '../../lib/preact.js';
import { api, tenantApi } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { duration } from '../../lib/format.js';
import { Button, Card, Dialog, ErrorBox, Field, Select, TextInput, useToast } from '../../lib/ui.js';
import { blame } from './draft.js';
import { OtherSecrets, SecretFields, Verification } from './secret.js';
import { etagOf } from './order.js';

const HOUR_S = 3600;
/** Overlaps that are offered, in seconds; the API takes 0 to 7 days. */
const OVERLAPS_S = [0, HOUR_S, 24 * HOUR_S, 72 * HOUR_S, 168 * HOUR_S];
const USUAL_OVERLAP_S = 24 * HOUR_S;

export function SecretCard({ tenant, endpoint, reload }) {
  const [isAsking, setIsAsking] = useState(false);
  const [known, setKnown] = useState(null);
  const rotated = (secrets) => {
    setKnown(secrets);
    setIsAsking(false);
    reload();
  };
  return html`<${Card} title=${t('endpoint.secret_title')}
    actions=${html`<${Button} icon="replay" onClick=${() => setIsAsking(true)}>${t('endpoint.rotate')}<//>`}>
    <${SecretFields} tenant=${tenant} endpoint=${endpoint.id} known=${known} />
    <${OtherSecrets} tenant=${tenant} endpoint=${endpoint} />
    <details><summary>${t('endpoint.verify')}</summary><${Verification} profile=${endpoint.profile} /></details>
    ${isAsking && html`<${Rotate} tenant=${tenant} endpoint=${endpoint} onClose=${() => setIsAsking(false)} onDone=${rotated} />`}
  <//>`;
}

const overlapText = (seconds) => (seconds === 0 ? t('endpoint.overlap_none') : duration(seconds * 1000));

function Rotate({ tenant, endpoint, onClose, onDone }) {
  const [overlap, setOverlap] = useState(String(USUAL_OVERLAP_S));
  const [secret, setSecret] = useState('');
  const [state, setState] = useState({ busy: false, error: null });
  const toast = useToast();
  const rotate = async () => {
    setState({ busy: true, error: null });
    try {
      const body = { overlap_s: Number(overlap), ...(secret === '' ? {} : { secret }) };
      const secrets = await api('POST', tenantApi(tenant, 'endpoints', endpoint.id, 'rotate'), { body, ifMatch: etagOf(endpoint) });
      toast(t('endpoint.rotated'));
      onDone(secrets);
    } catch (error) {
      setState({ busy: false, error });
    }
  };
  const { error } = state;
  const actions = html`<${Button} onClick=${onClose}>${t('common.action.cancel')}<//>
    <${Button} kind="primary" type="submit" busy=${state.busy}>${t('endpoint.rotate')}<//>`;
  return html`<${Dialog} title=${t('endpoint.rotate_title')} onClose=${onClose} actions=${actions} onSubmit=${rotate}>
    <p>${t('endpoint.rotate_text')}</p>
    <${Field} label=${t('endpoint.overlap')} hint=${t('endpoint.overlap_hint')} error=${blame(error, 'overlap_s')}>
      <${Select} value=${overlap} onChange=${setOverlap} options=${OVERLAPS_S.map((seconds) => ({ value: String(seconds), label: overlapText(seconds) }))} />
    <//>
    <${Field} label=${t('endpoint.own_secret')} hint=${t('endpoints.secret_own_hint')} optional error=${blame(error, 'secret')}>
      <${TextInput} mono type="password" autocomplete="new-password" value=${secret} onInput=${setSecret} placeholder="whsec_…" />
    <//>
    ${error && !blame(error, 'overlap_s', 'secret') && html`<${ErrorBox} error=${error} />`}
  <//>`;
}
