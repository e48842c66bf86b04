// What is set for a tenant, and what is kept about it: settings, portal links, allowed addresses, erasures, the ledger; and how
// the console itself looks. Each part asks for itself: one that fails leaves the others.
import { html } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { useSession, useSessionState } from '../lib/session.js';
import { useQuery } from '../lib/router.js';
import { PageHead, Tabs } from '../lib/ui.js';
import { Addresses } from './settings/addresses.js';
import { Appearance } from './settings/appearance.js';
import { Erasures } from './settings/erasures.js';
import { Ledger } from './settings/ledger.js';
import { Portal } from './settings/portal.js';
import { TenantSettings } from './settings/tenant.js';

export const areas = ['settings', 'replays'];

/// The parts by their names in the query string.
const PARTS = { tenant: TenantSettings, portal: Portal, addresses: Addresses, erasures: Erasures, ledger: Ledger, appearance: Appearance };

export function Page({ params }) {
  const { tenant } = params;
  const who = useSession();
  const { portal } = useSessionState();
  const [query, setQuery] = useQuery();
  // A portal's token makes no further links: the API refuses them.
  const names = Object.keys(PARTS).filter((name) => name !== 'portal' || (who && !portal && !who.readOnly));
  const active = names.includes(query.tab) ? query.tab : 'tenant';
  const Part = PARTS[active];
  /* messages: settings.tab.* */
  return html`<div class="page stack">
    <${PageHead} title=${t('settings.title')} text=${t('settings.lead')} />
    <${Tabs} label=${t('settings.title')} active=${active} tabs=${names.map((key) => ({ key, label: t(`settings.tab.${key}`) }))}
      onChange=${(tab) => setQuery({ tab: tab === 'tenant' ? null : tab, erasure: null })}>
      <${Part} key=${`${active} ${tenant}`} tenant=${tenant} query=${query} setQuery=${setQuery} />
    <//>
  </div>`;
}
