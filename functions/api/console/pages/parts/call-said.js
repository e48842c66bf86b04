// What happened on a call, in the reader's language: put together from the facts that the server makes its English sentences of.
import { html } from '../../lib/preact.js';
import { has, language, t } from '../../lib/i18n.js';
import { adviceText, outcomeText, reasonText } from './states.js';
import { Told } from './texts.js';
import { NextTry } from './delivery-head.js';

const isEnglish = () => language() === 'en';

/* messages: calls.said.* */

/** An item of a call's timeline in words; nothing where its badge says it all. */
export function ItemSaid({ tenant, item }) {
  if (item.kind === 'occurred') return null;
  if (item.kind === 'attempted') {
    if (item.code === 'ok') return null;
    return isEnglish() ? html`<${Told} text=${item.text} />` : adviceText(item) || null;
  }
  if (item.kind === 'accepted') {
    const n = item.endpoints?.length ?? 0;
    return n === 0 ? t('calls.unwanted', { n: 1 }) : t('calls.said.accepted', { n });
  }
  if (item.kind === 'retrying' || item.kind === 'held') {
    return html`${reasonText(item.reason)} <${NextTry} tenant=${tenant} delivery=${{ ...item, state: item.kind }} />`;
  }
  if (item.reason) return reasonText(item.reason);
  return has(`calls.said.${item.kind}`) ? t(`calls.said.${item.kind}`) : html`<${Told} text=${item.text} />`;
}

/** The last attempt of what did not arrive. */
export const TroubleSaid = ({ item }) => (isEnglish() ? html`<${Told} text=${item.text} />` : outcomeText(item));
