// The console's own language and colours, on this device alone. Calls nothing.
import { html } from '../../lib/preact.js';
import { LANGUAGES, setLanguage, t, useLanguage } from '../../lib/i18n.js';
import { Card, Field, Select } from '../../lib/ui.js';
import { THEMES, setTheme, useTheme } from '../../lib/theme.js';

/* messages: common.theme.* */
export function Appearance() {
  const language = useLanguage();
  const theme = useTheme();
  return html`<${Card} title=${t('settings.appearance.title')} text=${t('settings.appearance.text')}>
    <div class="form-grid">
      <${Field} label=${t('settings.appearance.language')}><${Select} value=${language} onChange=${(code) => setLanguage(code)}
        options=${LANGUAGES.map(({ code, name }) => ({ value: code, label: name }))} /><//>
      <${Field} label=${t('settings.appearance.theme')}><${Select} value=${theme} onChange=${setTheme}
        options=${THEMES.map((value) => ({ value, label: t(`common.theme.${value}`) }))} /><//>
    </div><//>`;
}
