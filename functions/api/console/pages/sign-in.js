// The operators' door: a key goes in, a session comes back. The key is never kept by the page.
import { html, useEffect, useRef, useState } from '../lib/preact.js';
import { ApiError, errorText } from '../lib/api.js';
import { t } from '../lib/i18n.js';
import { navigate, useQuery } from '../lib/router.js';
import { signIn, useSessionState } from '../lib/session.js';
import { Button, Field, Notice, TextInput } from '../lib/ui.js';
import { Door } from './parts/door.js';

export const areas = ['sign-in'];

// What is wrong with a key is said beside its field, in words that fit there.
function refused(error) {
  if (!(error instanceof ApiError)) return t('common.error.unexpected');
  if (error.status === 401 || error.code === 'key_invalid') return t('sign-in.refused.unknown');
  if (error.code === 'source_not_allowed') return t('sign-in.refused.network');
  if (error.status === 403) return t('sign-in.refused.scope');
  return errorText(error);
}

// The key of a link that `redial serve` prints, which only has to be sent. What follows # reaches no server; it is taken out of
// the address at once, so that it stays in no history.
function keyOfLink() {
  const key = /^#key=([\w-]+)$/.exec(location.hash)?.[1] ?? '';
  if (key !== '') history.replaceState(history.state, '', location.pathname + location.search);
  return key;
}

export function Page() {
  const [query] = useQuery();
  const { who, expired } = useSessionState();
  const [linked] = useState(keyOfLink);
  const [key, setKey] = useState(linked);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const onward = query.next ?? '/';
  const form = useRef(null);
  // Refused: the keyboard is where it can be mended.
  useEffect(() => { if (error !== null) form.current?.querySelector('input')?.focus(); }, [error]);
  useEffect(() => {
    document.title = `${t('sign-in.title')} · Redial`;
    if (who !== null) navigate(onward, { replace: true });
  }, [who]);
  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    if (key.trim() === '') {
      setError(t('sign-in.refused.empty'));
      return;
    }
    setBusy(true);
    setError(null);
    try {
      await signIn(key.trim());
    } catch (failed) {
      setError(refused(failed));
      setBusy(false);
    }
  };
  return html`<${Door} title=${t('sign-in.title')} text=${t('sign-in.text')}>
    ${expired && html`<${Notice} kind="info" role="status">${t('sign-in.expired')}<//>`}
    ${linked !== '' && key === linked && html`<${Notice} kind="good" role="status">${t('sign-in.filled')}<//>`}
    <form ref=${form} class="stack" novalidate onSubmit=${submit}>
      <${Field} label=${t('sign-in.key')} hint=${t('sign-in.key_hint')} error=${error}>
        <${TextInput} type="password" mono name="key" autocomplete="current-password" autofocus value=${key} onInput=${setKey} aria-required="true" /><//>
      <${Button} kind="primary" type="submit" busy=${busy} class="button-wide">${t('common.action.sign_in')}<//>
    </form>
    <p class="small muted">${t('sign-in.customers')}</p>
  <//>`;
}
