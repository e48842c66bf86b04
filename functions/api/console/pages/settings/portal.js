// A link that shows one customer this tenant's console, without a key. The link is shown once, and kept nowhere.
import { html, useState } from '../../lib/preact.js';
import { api } from '../../lib/api.js';
import { LANGUAGES, t } from '../../lib/i18n.js';
import { safeHref } from '../../lib/router.js';
import { Time } from '../../lib/format.js';
import { Button, Card, Checkbox, Code, Copy, ErrorBox, Field, Notice, Select } from '../../lib/ui.js';
import { inTenant } from '../parts/texts.js';

/// Lives offered, in minutes: the API takes a minute to a day.
const LIVES_MIN = [15, 60, 480, 1440];
const USUAL_LIFE_MIN = 60;

const frame = (url) => `<iframe src="${url}" allow="clipboard-write" title="Webhooks" width="100%" height="800"></iframe>`;

function Made({ made }) {
  return html`<div class="stack" role="status">
    <${Notice} kind="good" title=${t('settings.portal.made')}>${t('settings.portal.made_text')} <${Time} at=${made.expires_at} mode="exact" /><//>
    <div><p class="field-label">${t('settings.portal.link')}</p><${Code} text=${made.url} wrap label=${t('settings.portal.link')} />
      <div class="row">${safeHref(made.url) && html`<a class="button button-plain" href=${safeHref(made.url)} target="_blank"
        rel="noopener noreferrer">${t('settings.portal.open')}</a>`}
        <${Copy} text=${made.url} label=${t('settings.portal.copy')} kind="plain">${t('settings.portal.copy')}<//></div></div>
    <details><summary>${t('settings.portal.embed')}</summary>
      <p>${t('settings.portal.embed_text')}</p><${Code} text=${frame(made.url)} wrap language="HTML" /></details>
  </div>`;
}

export function Portal({ tenant }) {
  const [minutes, setMinutes] = useState(String(USUAL_LIFE_MIN));
  const [readOnly, setReadOnly] = useState(false);
  const [language, setLanguage] = useState('');
  const [made, setMade] = useState(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const set = (change) => (value) => { change(value); setMade(null); };
  const make = async () => {
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      const body = { ttl_s: Number(minutes) * 60, read_only: readOnly, ...(language ? { language } : {}) };
      setMade(await api('POST', inTenant(tenant, 'portal'), { body }));
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return html`<${Card} title=${t('settings.portal.title')} text=${t('settings.portal.text')}>
    <form class="stack form-narrow" novalidate onSubmit=${(event) => { event.preventDefault(); make(); }}>
      <${Field} label=${t('settings.portal.life')} hint=${t('settings.portal.life_hint')}>
        <${Select} value=${minutes} onChange=${set(setMinutes)} options=${LIVES_MIN.map((value) => ({ value: String(value),
          label: value < 60 ? t('settings.portal.minutes', { n: value }) : t('settings.portal.hours', { n: value / 60 }) }))} /><//>
      <${Field} label=${t('settings.portal.language')}>
        <${Select} value=${language} onChange=${set(setLanguage)} options=${[{ value: '', label: t('settings.portal.browser') },
          ...LANGUAGES.map(({ code, name }) => ({ value: code, label: name }))]} /><//>
      <${Checkbox} checked=${readOnly} onChange=${set(setReadOnly)} label=${t('settings.portal.read_only')} hint=${t('settings.portal.read_only_hint')} />
      ${error && html`<${ErrorBox} error=${error} />`}
      <div class="row"><${Button} kind="primary" type="submit" busy=${busy}>${t('settings.portal.make')}<//></div>
    </form>
    ${made && html`<${Made} made=${made} />`}
    <p class="muted small">${t('settings.portal.code')} <code dir="ltr">POST ${inTenant(tenant, 'portal')}</code></p>
  <//>`;
}
