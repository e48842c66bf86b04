// A moment to come, counted down by the second. Announces nothing: a screen reader finds the moment itself beside it.
import { html, useEffect, useState } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';
import { Time, duration } from '../../lib/format.js';

const SECOND_MS = 1000;
const MINUTE_MS = 60_000;
/** Further away than this, minutes are exact enough. */
const NEAR_MS = 3_600_000;

/** Now, again every `every_ms`; stands still while `isOn` is false. */
export function useNow(every_ms, isOn = true) {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!isOn) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), every_ms);
    return () => clearInterval(timer);
  }, [every_ms, isOn]);
  return now;
}

/** How long until `at`, and when that is; "due now" once it is past. */
export function Countdown({ at }) {
  const moment = Date.parse(at);
  const [isNear, setIsNear] = useState(() => moment - Date.now() < NEAR_MS);
  const now = useNow(isNear ? SECOND_MS : MINUTE_MS);
  const left_ms = moment - now;
  useEffect(() => setIsNear(left_ms < NEAR_MS), [left_ms < NEAR_MS]);
  if (Number.isNaN(moment)) return null;
  const whole_ms = Math.ceil(left_ms / SECOND_MS) * SECOND_MS;
  return html`<span class="countdown">
    <span aria-hidden="true">${left_ms > 0
      ? t('deliveries.countdown.in', { left: duration(whole_ms) })
      : t('deliveries.countdown.due')}</span>${' '}
    <small class="muted"><${Time} at=${at} mode=${isNear ? 'clock' : 'exact'} /></small>
  </span>`;
}
