// An address that is no page of the console, or none for this reader.
import { html } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { Link, path, withBase } from '../lib/router.js';
import { useSession } from '../lib/session.js';
import { Empty, PageHead } from '../lib/ui.js';

export const areas = [];

export function Page() {
  const who = useSession();
  const home = who?.tenant ? path('t', who.tenant) : '/';
  return html`<${PageHead} title=${t('common.not_found.title')} />
    <${Empty} title=${t('common.not_found.text')} text=${t('common.not_found.hint')}
      action=${html`<${Link} class="button button-primary" href=${withBase(home)}>${t('common.not_found.home')}<//>`} />`;
}
