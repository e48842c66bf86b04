// Where deliveries come from, for receivers that let in no others, and where events are posted. Reads only.
import { html } from '../../lib/preact.js';
import { api } from '../../lib/api.js';
import { t } from '../../lib/i18n.js';
import { Card, Code, ErrorBox, KeyValue, Loading, Notice, useAsync } from '../../lib/ui.js';

export function Addresses() {
  const { data: about, error, reload } = useAsync(({ signal }) => api('GET', '/v1', { signal }), []);
  if (error) return html`<${ErrorBox} error=${error} onRetry=${reload} />`;
  if (!about) return html`<${Loading} rows=${3} />`;
  const addresses = about.egress_addresses;
  return html`<${Card} title=${t('settings.egress.title')} text=${t('settings.egress.text')}>
      ${addresses.length > 0
        ? html`<${Code} text=${addresses.join('\n')} label=${t('settings.egress.title')} /><p>${t('settings.egress.allow', { n: addresses.length })}</p>`
        : html`<${Notice} kind="info" title=${t('settings.egress.none')}>${t('settings.egress.none_text')}<//>`}
    <//>
    <${Card} title=${t('settings.about')}><${KeyValue} items=${[
      [t('settings.ingest'), html`<code dir="ltr">${about.ingest}</code>`],
      [t('settings.version'), html`<code dir="ltr">${about.name} ${about.version}</code>`]]} /><//>`;
}
