// What stands around every page: the menu (a drawer on a phone), the tenant, the search, language and theme.
import { html, useEffect, useState } from './preact.js';
import { LANGUAGES, language, setLanguage, t } from './i18n.js';
import { Link, navigate, path, useRoute } from './router.js';
import { signOut, useSession, useSessionState } from './session.js';
import { setTheme, THEMES, useTheme } from './theme.js';
import { Icon, Mark } from './icons.js';
import { Bdi, Button, Drawer, Menu, Notice, useToast } from './ui.js';
import { errorText } from './api.js';
import { Time, date } from './format.js';
import { Finder } from './layout/finder.js';
import { TenantSwitch } from './layout/tenant-switch.js';
import { useTenantName } from './tenant-name.js';
import { OPERATOR_MENU, TENANT_MENU } from '../routes.js';

/* messages: common.nav.section.* common.theme.* */
const THEME_ICONS = { auto: 'auto', light: 'sun', dark: 'moon' };
const ENDS_SOON_MS = 10 * 60_000;

/** Switches the language: `{up, align}` say where its list opens. */
export function LanguageMenu(props) {
  const items = LANGUAGES.map((one) => ({
    label: html`<span lang=${one.code}>${one.name}</span>`,
    checked: one.code === language(),
    onClick: () => setLanguage(one.code),
  }));
  return html`<${Menu} label=${t('common.language.choose')} icon="language" items=${items} ...${props} />`;
}

/** Switches between light, dark and the system's. */
export function ThemeMenu(props) {
  const theme = useTheme();
  const items = THEMES.map((one) => ({ label: t(`common.theme.${one}`), checked: one === theme, onClick: () => setTheme(one) }));
  return html`<${Menu} label=${t('common.theme.choose')} icon=${THEME_ICONS[theme]} items=${items} ...${props} />`;
}

function Entry({ entry, to, section, onGo }) {
  const here = entry.section === section;
  return html`<li><${Link} href=${to} class="nav-link" aria-current=${here ? 'page' : undefined} onClick=${onGo}>
    <${Icon} name=${entry.icon} /><span>${t(`common.nav.section.${entry.section}`)}</span><//></li>`;
}

function Nav({ who, tenant, section, onGo }) {
  const operator = who.kind === 'operator';
  return html`<nav class="nav" aria-label=${t('common.nav.main')}>
    ${tenant && html`<ul>${TENANT_MENU.map((entry) => html`<${Entry} key=${entry.section} entry=${entry} to=${path('t', tenant, ...entry.segments)}
      section=${section} onGo=${onGo} />`)}</ul>`}
    ${operator && html`<p class="nav-group" id="nav-operator">${t('common.nav.operator')}</p>
      <ul aria-labelledby="nav-operator">${OPERATOR_MENU.map((entry) => html`<${Entry} key=${entry.section} entry=${entry} to=${entry.to} section=${section} onGo=${onGo} />`)}</ul>`}
  </nav>`;
}

/** The hour is enough, unless it is another day's. */
const endOf = (at) => (date(at) === date(Date.now()) ? 'minute' : 'exact');

function Account({ who }) {
  const { portal } = useSessionState();
  const toast = useToast();
  const leave = async () => {
    try {
      await signOut();
      navigate('/sign-in', { replace: true });
    } catch (error) {
      toast(errorText(error), { kind: 'bad' });
    }
  };
  return html`<div class="account">
    <p class="account-who small"><span>${t(who.kind === 'operator' ? 'common.account.operator' : 'common.account.customer')}</span>
      ${who.readOnly && html`<span class="muted">${t('common.account.read_only')}</span>`}
      ${who.expiresAt && html`<span class="muted">${t('common.account.until')} <${Time} at=${who.expiresAt} mode=${endOf(who.expiresAt)} /></span>`}</p>
    <div class="account-tools"><span class="account-menus"><${LanguageMenu} up align="start" /><${ThemeMenu} up align="start" /></span>
      ${!portal && html`<${Button} kind="quiet" icon="out" label=${t('common.action.sign_out')} onClick=${leave} />`}</div></div>`;
}

function Brand({ to }) {
  return html`<${Link} href=${to} class="brand"><${Mark} /><span>Redial</span><//>`;
}

// A portal's session is short: whoever works in it is told before it ends.
function EndsSoon({ who }) {
  const [soon, setSoon] = useState(false);
  useEffect(() => {
    const left = Date.parse(who.expiresAt ?? '') - Date.now();
    setSoon(left < ENDS_SOON_MS);
    if (Number.isNaN(left) || left < ENDS_SOON_MS || left - ENDS_SOON_MS > 2 ** 31 - 1) return undefined;
    const timer = setTimeout(() => setSoon(true), left - ENDS_SOON_MS);
    return () => clearTimeout(timer);
  }, [who.expiresAt]);
  if (!soon) return null;
  return html`<${Notice} kind="warn" role="status">${t('common.account.ends')} <${Time} at=${who.expiresAt} mode="relative" /><//>`;
}

function Side({ who, tenant, section, onGo }) {
  return html`${who.kind === 'operator' && html`<${TenantSwitch} tenant=${tenant} />`}
    <${Nav} who=${who} tenant=${tenant} section=${section} onGo=${onGo} />
    <${Account} who=${who} />`;
}

/** `{route, waiting, children}`: the frame of a page, for whoever is signed in. */
export function Layout({ route, waiting, children }) {
  const who = useSession();
  const { path: now } = useRoute();
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen(false), [now]);
  const tenant = who?.kind === 'operator' ? (route.params.tenant ?? null) : (who?.tenant ?? null);
  const name = useTenantName(tenant);
  const section = route.route?.section;
  if (who === null) return null;
  const home = who.kind === 'operator' ? '/' : path('t', who.tenant);
  const side = { who, tenant, section };
  return html`<div class="app">
    <a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault();
      document.getElementById('main').focus();
    }}>${t('common.nav.skip')}</a>
    <aside class="side" aria-label=${t('common.nav.side')}><${Brand} to=${home} /><${Side} ...${side} /></aside>
    <header class="top">
      <div class="top-phone"><${Button} kind="quiet" icon="menu" label=${t('common.nav.open')} aria-expanded=${open ? 'true' : 'false'} onClick=${() => setOpen(true)} />
        <${Link} href=${home} class="brand brand-small" aria-label="Redial"><${Mark} /><//></div>
      ${tenant ? html`<${Finder} tenant=${tenant} />` : html`<span class="top-space"></span>`}
      ${who.kind !== 'operator' && html`<span class="top-tenant small muted"><${Bdi}>${name || tenant}<//></span>`}
      <div class="top-tools"><${LanguageMenu} /><${ThemeMenu} /></div>
    </header>
    <div class=${`waiting${waiting ? ' waiting-on' : ''}`} aria-hidden="true"></div>
    <main id="main" class="main" tabindex="-1"><div class="content stack"><${EndsSoon} who=${who} />${children}</div></main>
    ${open && html`<${Drawer} side="start" title="Redial" onClose=${() => setOpen(false)}><${Side} ...${side} onGo=${() => setOpen(false)} /><//>`}
  </div>`;
}
