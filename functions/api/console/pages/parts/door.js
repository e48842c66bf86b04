// The frame of the pages before the console: who we are, one thing to do, language and theme.
import { html } from '../../lib/preact.js';
import { LanguageMenu, ThemeMenu } from '../../lib/layout.js';
import { Mark } from '../../lib/icons.js';

/** `{title, text, children}` */
export function Door({ title, text, children }) {
  return html`<div class="door"><div class="door-top"><span class="brand"><${Mark} /><span>Redial</span></span>
      <span class="row row-tight"><${LanguageMenu} /><${ThemeMenu} /></span></div>
    <div class="door-card stack"><div class="stack stack-tight"><h1>${title}</h1>${text && html`<p class="muted">${text}</p>`}</div>${children}</div></div>`;
}
