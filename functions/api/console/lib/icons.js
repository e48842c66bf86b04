// The console's icons: 20 x 20 outlines drawn with the text's colour. They are decoration: the word stands beside them.
import { html } from './preact.js';

const PATHS = {
  overview: 'M3 10.5 10 4l7 6.5M5 9v7h3.5v-4h3v4H15V9',
  endpoint: 'M7.5 12.5 12.5 7.5M8.5 5.8l1.8-1.8a4 4 0 0 1 5.7 5.7l-1.8 1.8M11.5 14.2 9.7 16A4 4 0 0 1 4 10.3l1.8-1.8',
  event: 'M11 3 4.5 11.5H10L9 17l6.5-8.5H10L11 3Z',
  delivery: 'M3 10h11M10 5.5 14.5 10 10 14.5M17 4v12',
  dead: 'M4 5.5h12v9H4zM4 6l6 5 6-5M7 17.5h6',
  replay: 'M4 10a6 6 0 1 0 2-4.5M4 3.5V6.5H7',
  type: 'M4 4h5v5H4zM11 4h5v5h-5zM4 11h5v5H4zM11 11h5v5h-5z',
  settings: 'M4 6h6M14 6h2M4 14h2M10 14h6M12 4v4M8 12v4',
  key: 'M12.5 7.5m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0M9.7 10.3 3.5 16.5M5.5 14.5l2 2',
  lock: 'M5 9h10v7.5H5zM7 9V6.5a3 3 0 0 1 6 0V9',
  tenant: 'M4 17V5l6-2v14M10 8h6v9M3 17h14M7 7v0M7 10v0M7 13v0M13 11v0M13 14v0',
  call: 'M6.2 3.5 8 7.3 6.5 8.8a9 9 0 0 0 4.7 4.7l1.5-1.5 3.8 1.8v2.4c0 .7-.6 1.2-1.3 1.2A12 12 0 0 1 2.6 4.8c0-.7.5-1.3 1.2-1.3Z',
  search: 'M8.8 8.8m-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0M12.5 12.5 17 17',
  menu: 'M3 5.5h14M3 10h14M3 14.5h14',
  close: 'M5 5l10 10M15 5 5 15',
  check: 'M4 10.5 8.2 14.5 16 6',
  cross: 'M6 6l8 8M14 6l-8 8',
  clock: 'M10 10m-7 0a7 7 0 1 0 14 0a7 7 0 1 0-14 0M10 6v4.2l2.7 1.8',
  pause: 'M7.5 5v10M12.5 5v10',
  play: 'M6.5 4.5v11l9-5.5Z',
  stop: 'M5.5 5.5h9v9h-9z',
  warn: 'M10 3 2.5 16.5h15ZM10 8v4M10 14.2v.1',
  info: 'M10 10m-7 0a7 7 0 1 0 14 0a7 7 0 1 0-14 0M10 9.5V14M10 6.5v.1',
  hold: 'M5 3.5h10M5 16.5h10M6 3.5c0 4 3 4.5 4 6.5 1-2 4-2.5 4-6.5M6 16.5c0-4 3-4.5 4-6.5 1 2 4 2.5 4 6.5',
  ban: 'M10 10m-7 0a7 7 0 1 0 14 0a7 7 0 1 0-14 0M5 5l10 10',
  dot: 'M10 10m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0',
  copy: 'M7 7h9v9H7zM4 13V4h9',
  eye: 'M2.5 10s2.8-5 7.5-5 7.5 5 7.5 5-2.8 5-7.5 5-7.5-5-7.5-5ZM10 10m-2.2 0a2.2 2.2 0 1 0 4.4 0a2.2 2.2 0 1 0-4.4 0',
  hidden: 'M3 3l14 14M8.3 5.2C8.8 5.1 9.4 5 10 5c4.7 0 7.5 5 7.5 5a13 13 0 0 1-2 2.6M12 14.7c-.6.2-1.3.3-2 .3-4.7 0-7.5-5-7.5-5a13 13 0 0 1 3-3.4M8.4 8.5a2.2 2.2 0 0 0 3.1 3',
  plus: 'M10 4v12M4 10h12',
  trash: 'M4 6h12M8 6V4h4v2M5.5 6l.8 10.5h7.4L14.5 6M8.5 9v5M11.5 9v5',
  edit: 'M4 16l.8-3.5L13 4.3l2.7 2.7-8.2 8.2Z',
  send: 'M3 10 17 4l-4.5 13-3-5.5ZM9.5 11.5 17 4',
  filter: 'M3 5h14M6 10h8M8.5 15h3',
  more: 'M5 10v.1M10 10v.1M15 10v.1',
  down: 'M5.5 8 10 12.5 14.5 8',
  next: 'M8 5.5 12.5 10 8 14.5',
  external: 'M8 5H4.5v10.5H15V12M11 4h5v5M16 4l-7 7',
  refresh: 'M16 10a6 6 0 1 1-1.8-4.3L16 7.5M16 3.5v4h-4',
  sun: 'M10 10m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0M10 2.5v2M10 15.5v2M2.5 10h2M15.5 10h2M4.7 4.7l1.4 1.4M13.9 13.9l1.4 1.4M4.7 15.3l1.4-1.4M13.9 6.1l1.4-1.4',
  moon: 'M16 11.5A6.5 6.5 0 1 1 8.5 4a5 5 0 0 0 7.5 7.5Z',
  auto: 'M3 4.5h14v9H3zM7.5 17h5M10 13.5V17',
  language: 'M10 10m-7 0a7 7 0 1 0 14 0a7 7 0 1 0-14 0M3 10h14M10 3c2.5 2 3 4.5 3 7s-.5 5-3 7c-2.5-2-3-4.5-3-7s.5-5 3-7',
  out: 'M8 4H4v12h4M8 10h9M13.5 6.5 17 10l-3.5 3.5',
  user: 'M10 7m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0M4 16.5c.5-3 2.8-4.5 6-4.5s5.5 1.5 6 4.5',
  live: 'M10 10m-1.8 0a1.8 1.8 0 1 0 3.6 0a1.8 1.8 0 1 0-3.6 0M6 14a5.7 5.7 0 0 1 0-8M14 6a5.7 5.7 0 0 1 0 8M3.7 16.3a9 9 0 0 1 0-12.6M16.3 3.7a9 9 0 0 1 0 12.6',
};

// Arrows that point the way of reading turn round in right-to-left text.
const TURNING = new Set(['delivery', 'next', 'out', 'send', 'external', 'replay', 'refresh']);

/** The names of all icons. */
export const ICONS = Object.keys(PATHS);

/** One icon: `<${Icon} name="copy" />`. An unknown name is a dot. */
export function Icon({ name, class: extra = '' }) {
  const turning = TURNING.has(name) ? ' icon-turning' : '';
  return html`<svg class=${`icon${turning} ${extra}`} viewBox="0 0 20 20" width="20" height="20" fill="none" stroke="currentColor"
    stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">
    <path d=${PATHS[name] ?? PATHS.dot} />
  </svg>`;
}

/** Redial's mark: a dial whose arrow comes round again. */
export function Mark() {
  return html`<svg class="mark" viewBox="0 0 28 28" width="28" height="28" aria-hidden="true" focusable="false">
    <rect class="mark-ground" width="28" height="28" rx="7" />
    <path class="mark-line" d="M20.5 14a6.5 6.5 0 1 1-2.2-4.9" fill="none" stroke-width="2.2" stroke-linecap="round" />
    <path class="mark-line" d="M19.2 5.6v4h-4" fill="none" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round" />
    <circle class="mark-dot" cx="14" cy="14" r="2" />
  </svg>`;
}
