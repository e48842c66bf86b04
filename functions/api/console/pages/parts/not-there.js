// Why something is not shown: it was erased, it is not there (any more), or the question failed. Each with the next step.
import { html } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';
import { Link } from '../../lib/router.js';
import { Empty, ErrorBox } from '../../lib/ui.js';
import { eventsPath } from './place.js';

/* messages: deliveries.not_there.* */

/** `what`: delivery, event or call. */
export function NotThere({ tenant, error, what, onRetry }) {
  const list = html`<${Link} href=${eventsPath(tenant)} class="button button-plain">${t('deliveries.not_there.events')}<//>`;
  if (error.status === 410) {
    return html`<${Empty} icon="trash" title=${t('deliveries.not_there.erased')} text=${t('deliveries.not_there.erased_text')} action=${list} />`;
  }
  if (error.status === 404) {
    return html`<${Empty} title=${t(`deliveries.not_there.${what}`)} text=${t('deliveries.not_there.text')} action=${list} />`;
  }
  return html`<${ErrorBox} error=${error} onRetry=${onRetry} />`;
}
