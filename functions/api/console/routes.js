// Every page of the console: its address, its file in pages/, the entry of the menu it belongs to, and for whom it is. A pattern
// without parameters stands before its siblings with one.

/** @type {{name: string, pattern: string, section?: string, open?: boolean, operator?: boolean}[]} `open`: without a session */
export const ROUTES = [
  { name: 'sign-in', pattern: '/sign-in', open: true },
  { name: 'portal', pattern: '/portal', open: true },
  { name: 'tenants', pattern: '/', section: 'tenants', operator: true },
  { name: 'keys', pattern: '/keys', section: 'keys', operator: true },
  { name: 'data-keys', pattern: '/data-keys', section: 'data-keys', operator: true },
  { name: 'overview', pattern: '/t/:tenant', section: 'overview' },
  { name: 'endpoints', pattern: '/t/:tenant/endpoints', section: 'endpoints' },
  { name: 'endpoint-new', pattern: '/t/:tenant/endpoints/new', section: 'endpoints' },
  { name: 'endpoint', pattern: '/t/:tenant/endpoints/:endpoint', section: 'endpoints' },
  { name: 'events', pattern: '/t/:tenant/events', section: 'events' },
  { name: 'event', pattern: '/t/:tenant/events/:event', section: 'events' },
  { name: 'call', pattern: '/t/:tenant/calls/:call', section: 'events' },
  { name: 'deliveries', pattern: '/t/:tenant/deliveries', section: 'deliveries' },
  { name: 'delivery', pattern: '/t/:tenant/deliveries/:delivery', section: 'deliveries' },
  { name: 'dead-letters', pattern: '/t/:tenant/dead-letters', section: 'dead-letters' },
  { name: 'replays', pattern: '/t/:tenant/replays', section: 'replays' },
  { name: 'replay', pattern: '/t/:tenant/replays/:replay', section: 'replays' },
  { name: 'event-types', pattern: '/t/:tenant/event-types', section: 'event-types' },
  { name: 'event-type', pattern: '/t/:tenant/event-types/:type', section: 'event-types' },
  { name: 'settings', pattern: '/t/:tenant/settings', section: 'settings' },
];

/** What everybody of a tenant finds in the menu: section, the segments after the tenant, icon. */
export const TENANT_MENU = [
  { section: 'overview', segments: [], icon: 'overview' },
  { section: 'endpoints', segments: ['endpoints'], icon: 'endpoint' },
  { section: 'events', segments: ['events'], icon: 'event' },
  { section: 'deliveries', segments: ['deliveries'], icon: 'delivery' },
  { section: 'dead-letters', segments: ['dead-letters'], icon: 'dead' },
  { section: 'replays', segments: ['replays'], icon: 'replay' },
  { section: 'event-types', segments: ['event-types'], icon: 'type' },
  { section: 'settings', segments: ['settings'], icon: 'settings' },
];

/** What operators find besides. */
export const OPERATOR_MENU = [
  { section: 'tenants', to: '/', icon: 'tenant' },
  { section: 'keys', to: '/keys', icon: 'key' },
  { section: 'data-keys', to: '/data-keys', icon: 'lock' },
];
