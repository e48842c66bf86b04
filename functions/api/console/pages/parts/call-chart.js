// A call on one axis of time: what happened on it, its transfers, and the attempts at every endpoint. A drawing for the eye;
// the list below it says the same in words.
import { html, useEffect, useState } from '../../lib/preact.js';
import { t } from '../../lib/i18n.js';
import { clock, dateTime } from '../../lib/format.js';
import { chartOf } from './call-story.js';
import { shortUrl, toldText } from './texts.js';

/** Sizes in units of the drawing. On a phone the name of a lane stands above it. `letters` of an endpoint's URL fit there. */
const WIDE = { width: 960, names: 210, lane: 36, letters: 30, labels: 6, isAbove: false };
const NARROW = { width: 330, names: 0, lane: 54, letters: 42, labels: 4, isAbove: true };
const AXIS = 30;
const PAD = 16;
/** As the styles have it: a phone, or a window as narrow. */
const PHONE = '(max-width: 820px)';

/** The sizes that fit the window now. */
function useSizes() {
  const [isNarrow, setIsNarrow] = useState(() => matchMedia(PHONE).matches);
  useEffect(() => {
    const phone = matchMedia(PHONE);
    const look = () => setIsNarrow(phone.matches);
    look();
    phone.addEventListener('change', look);
    return () => phone.removeEventListener('change', look);
  }, []);
  return isNarrow ? NARROW : WIDE;
}

/** Shapes differ, not colours alone. */
function Shape({ shape, x, y }) {
  if (shape === 'ok') return html`<circle class="call-ok" cx=${x} cy=${y} r="6" />`;
  if (shape === 'failed') {
    return html`<path class="call-failed" d=${`M${x - 5} ${y - 5}l10 10M${x + 5} ${y - 5}l-10 10`} />`;
  }
  if (shape === 'asked') return html`<path class="call-asked" d=${`M${x} ${y - 7}l7 7-7 7-7-7z`} />`;
  if (shape === 'next') return html`<circle class="call-next" cx=${x} cy=${y} r="6" />`;
  return html`<rect class="call-event" x=${x - 5} y=${y - 5} width="10" height="10" rx="2" />`;
}

/* messages: calls.mark.* calls.lane.* */

const nameOf = (lane, urls, letters) => (lane.key === 'events' || lane.key === 'transfers'
  ? t(`calls.lane.${lane.key}`)
  : shortUrl(urls.get(lane.key) ?? lane.key, letters));

/** `urls`: of endpoints, by id. `onPick(index)`: a mark was chosen, the item of that index is meant. */
export function CallChart({ items, urls, onPick }) {
  const sizes = useSizes();
  const chart = chartOf(items, sizes.labels);
  if (!chart) return null;
  const height = AXIS + chart.lanes.length * sizes.lane + PAD;
  const left = (x) => sizes.names + PAD + x * (sizes.width - sizes.names - 2 * PAD);
  const shapes = [...new Set(chart.lanes.flatMap((lane) => lane.marks.map((mark) => mark.shape)))];
  return html`<figure class="call-chart">
    <div class="call-chart-scroll" tabindex="0" role="region" aria-label=${t('calls.chart')} dir="ltr">
      <svg viewBox=${`0 0 ${sizes.width} ${height}`} aria-hidden="true" focusable="false">
        ${chart.labels.map(({ moment, x }, at) => html`<g key=${moment}>
          <line class="call-grid" x1=${left(x)} x2=${left(x)} y1=${AXIS - 6} y2=${height - PAD} />
          <text class="call-text" x=${left(x)} y="16" text-anchor=${at === 0 ? 'start' : x > 0.95 ? 'end' : 'middle'}>
            <title>${dateTime(moment)}</title>${clock(moment)}</text></g>`)}
        ${chart.lanes.map((lane, at) => html`<${Lane} key=${lane.key} lane=${lane} name=${nameOf(lane, urls, sizes.letters)} urls=${urls}
          top=${AXIS + at * sizes.lane} sizes=${sizes} left=${left} onPick=${onPick} />`)}
      </svg>
    </div>
    <figcaption class="call-legend">${shapes.map((shape) => html`<span key=${shape}>
      <svg viewBox="0 0 20 20" width="16" height="16" aria-hidden="true"><${Shape} shape=${shape} x=${10} y=${10} /></svg>
      ${t(`calls.mark.${shape}`)}</span>`)}
      <span class="muted">${t('calls.chart_note')}</span></figcaption>
  </figure>`;
}

function Lane({ lane, name, urls, top, sizes, left, onPick }) {
  const y = top + (sizes.isAbove ? sizes.lane - 18 : sizes.lane / 2);
  return html`<g>
    <text class=${urls.has(lane.key) ? 'call-name' : 'call-name call-name-own'} x="0" y=${sizes.isAbove ? y - 20 : y + 4}>${name}</text>
    <line class="call-lane" x1=${left(0)} x2=${left(1)} y1=${y} y2=${y} />
    ${lane.marks.map((mark) => html`<g key=${mark.index} class="call-pick" onClick=${() => onPick(mark.index)}>
      <rect class="call-hit" x=${left(mark.x) - 9} y=${y - 15} width="18" height="30" />
      <${Shape} shape=${mark.shape} x=${left(mark.x)} y=${y} />
      <title>${`${mark.item.event_type} · ${clock(mark.moment)}\n${toldText(mark.item.text)}`}</title></g>`)}
  </g>`;
}
