// What came of an attempt and what follows on it, in the reader's language: put together from the facts that the server makes its
// English sentence of. That one stays below, as it says more; English readers have it alone.
import { html } from '../../lib/preact.js';
import { language, t } from '../../lib/i18n.js';
import { dateTime } from '../../lib/format.js';
import { goesAt, lastAttempt, outcomeText, reasonText } from './states.js';
import { Told } from './texts.js';

/** What follows on an attempt: that it arrived, the next attempt, or why there is none. */
function follows(attempt, delivery) {
  if (attempt.code === 'ok') return t('deliveries.said.arrived');
  const next = delivery.attempts.find(({ n }) => n === attempt.n + 1);
  if (next) return t('deliveries.said.tried', { time: dateTime(Date.parse(next.at) - next.duration_ms) });
  const at = goesAt(delivery);
  return [reasonText(delivery.reason), at && t('deliveries.said.next', { time: dateTime(at) })].filter(Boolean).join('. ');
}

/** What came of an attempt, and why it is, or is not, tried again. */
export function AttemptSaid({ attempt, delivery }) {
  // What it said then is not what holds now, if its delivery was put on hold since.
  const isOutdated = delivery.state === 'held' && attempt === lastAttempt(delivery) && attempt.code !== 'ok';
  if (language() === 'en' && !isOutdated) return html`<${Told} text=${attempt.next} />`;
  const said = [outcomeText(attempt), follows(attempt, delivery)].filter(Boolean).join('. ');
  return html`${said}<span class="told small muted"><${Told} text=${attempt.next} /></span>`;
}
