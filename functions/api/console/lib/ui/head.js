// The head of a page: breadcrumb, the one h1, what the page is for, its actions. It names the browser's tab too.
import { html, useEffect } from '../preact.js';
import { t } from '../i18n.js';
import { Link } from '../router.js';

/** @param {{title: any, text?: any, actions?: any, crumbs?: {label: any, href: string}[], tab?: string, after?: any}} props `tab` if `title` is no text */
export function PageHead({ title, text, actions, crumbs = [], tab, after }) {
  const name = tab ?? (typeof title === 'string' ? title : '');
  useEffect(() => {
    document.title = name === '' ? 'Redial' : `${name} · Redial`;
  }, [name]);
  return html`<header class="page-head">
    ${crumbs.length > 0 && html`<nav class="crumbs" aria-label=${t('common.nav.breadcrumb')}><ol>
      ${crumbs.map((crumb) => html`<li key=${crumb.href}><${Link} href=${crumb.href}><bdi>${crumb.label}</bdi><//></li>`)}
      <li><span aria-current="page"><bdi>${name || title}</bdi></span></li></ol></nav>`}
    <div class="page-head-row"><div class="page-title"><h1 tabindex="-1"><bdi>${title}</bdi></h1>${after}</div>
      ${actions && html`<div class="row page-actions">${actions}</div>`}</div>
    ${text && html`<p class="page-text muted">${text}</p>`}
  </header>`;
}
