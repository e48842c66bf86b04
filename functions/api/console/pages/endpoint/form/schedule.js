// A retry policy in words: how many attempts, after which waits, over how long. Pure text; the jitter that is added is not told.
import { t } from '../../../lib/i18n.js';
import { duration } from '../../../lib/format.js';
import { delaysOf } from '../draft.js';

/** Waits that are named one by one; more are counted. */
const MOST_NAMED = 8;

/** `policy` as the API shows or takes one. */
export function scheduleText(policy) {
  const delays = delaysOf(policy);
  if (delays.length === 0) return t('endpoints.schedule_once');
  const named = delays.slice(0, MOST_NAMED).map((delay) => duration(delay * 1000));
  if (delays.length > MOST_NAMED) named.push('…');
  const whole = delays.reduce((sum, delay) => sum + delay, 0);
  return t('endpoints.schedule', { n: delays.length + 1, waits: named.join(' · '), whole: duration(whole * 1000) });
}
