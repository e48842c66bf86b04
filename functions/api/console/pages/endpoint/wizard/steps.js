// Where in the wizard somebody is: the steps in order, those that can be reached as buttons.
import { html } from '../../../lib/preact.js';
import { t } from '../../../lib/i18n.js';
import { Icon } from '../../../lib/icons.js';

/* messages: endpoints.step.* */

/** @param {{steps: string[], active: string, reachable: string[], onGo: (step: string) => void}} props */
export function Steps({ steps, active, reachable, onGo }) {
  const at = steps.indexOf(active);
  return html`<nav class="wizard-steps" aria-label=${t('wizard.steps')}>
    <p class="small muted wizard-where">${t('wizard.where', { at: at + 1, of: steps.length })}</p>
    <ol>${steps.map((step, n) => {
      const inner = html`<span class="wizard-n num" aria-hidden="true">${n < at ? html`<${Icon} name="check" />` : n + 1}</span>
        <span>${t(`endpoints.step.${step}`)}${n < at && html`<span class="visually-hidden"> ${t('wizard.step_done')}</span>`}</span>`;
      const isOpen = n !== at && reachable.includes(step);
      return html`<li key=${step} class=${n < at ? 'is-done' : n === at ? 'is-active' : ''} aria-current=${n === at ? 'step' : undefined}>
        ${isOpen ? html`<button type="button" class="wizard-step" onClick=${() => onGo(step)}>${inner}</button>` : html`<span class="wizard-step">${inner}</span>`}
      </li>`;
    })}</ol>
  </nav>`;
}
