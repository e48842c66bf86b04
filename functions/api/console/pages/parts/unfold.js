// Something that unfolds: open or not as it began, and then as the reader left it, whatever changes meanwhile. What was never
// open is never drawn: an event may have hundreds of deliveries with their attempts.
import { html, useState } from '../../lib/preact.js';

/** `{isOpen, summary, body, class}`; `body()` draws what is inside. */
export function Unfold({ isOpen = false, summary, body, class: name }) {
  const [began] = useState(isOpen);
  const [isDrawn, setIsDrawn] = useState(isOpen);
  return html`<details class=${name} open=${began} onToggle=${(event) => event.currentTarget.open && setIsDrawn(true)}>
    <summary>${summary}</summary>
    ${isDrawn && body()}
  </details>`;
}
