// The one door to the vendored framework. Everything else imports from here, never from vendor/. `html` escapes every value.
import { h } from '../vendor/preact.js';
import htm from '../vendor/htm.js';

export { h, render, Fragment, createContext, toChildArray } from '../vendor/preact.js';
export {
  useState, useEffect, useLayoutEffect, useMemo, useRef, useCallback, useContext, useReducer, useId, useErrorBoundary,
} from '../vendor/hooks.js';

/** Tagged template -> virtual nodes: html`<p class="x">${text}</p>`; components as <${Name} prop=${value} />. */
export const html = htm.bind(h);
