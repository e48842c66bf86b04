// The customers' door: the token in the link's fragment opens one tenant. It leaves the address at once, so that it is in no
// history and no screenshot; a link that is over says what to do.
import { html, useEffect, useState } from '../lib/preact.js';
import { ApiError } from '../lib/api.js';
import { setLanguage, t } from '../lib/i18n.js';
import { navigate, path } from '../lib/router.js';
import { openPortal } from '../lib/session.js';
import { ErrorBox, Loading } from '../lib/ui.js';
import { Door } from './parts/door.js';
import { fragment } from './parts/fragment.js';

export const areas = ['sign-in'];

export function Page({ query }) {
  const [state, setState] = useState({ at: 'opening' });
  const [link] = useState(() => fragment(location.hash));
  const open = async () => {
    if (link.token === null) {
      setState({ at: 'over' });
      return;
    }
    setState({ at: 'opening' });
    try {
      const who = await openPortal(link.token);
      navigate(path('t', who.tenant), { replace: true });
    } catch (error) {
      setState(error instanceof ApiError && error.status === 401 ? { at: 'over' } : { at: 'failed', error });
    }
  };
  useEffect(() => {
    document.title = `${t('sign-in.portal.title')} · Redial`;
    if (location.hash !== '') history.replaceState(history.state, '', location.pathname + location.search);
    // The platform's page says which language it is in: for this tab, whatever the reader chose elsewhere.
    const language = link.language ?? query.lang;
    if (language) setLanguage(language, { remember: 'tab' });
    open();
  }, []);
  if (state.at === 'opening') return html`<${Door} title=${t('sign-in.portal.opening')}><${Loading} rows=${3} /><//>`;
  if (state.at === 'failed') return html`<${Door} title=${t('sign-in.portal.title')}><${ErrorBox} error=${state.error} onRetry=${open} /><//>`;
  return html`<${Door} title=${t('sign-in.portal.over')} text=${t('sign-in.portal.over_text')} />`;
}
