// Every page of the console, with something to see on it: the list that a11y, shots, load and xss go through. A page that is
// missing here is not tried; `unit/reach.test.mjs` holds this list against the router's.

/** An id of each kind of thing of the busy customer. */
export async function things(world) {
  const at = `/v1/tenants/${world.busy}`;
  const first = async (path) => (await world.api.do('GET', `${at}/${path}`)).items[0];
  const letter = await first('dead-letters?limit=1');
  const event = await world.api.do('GET', `${at}/events/${letter.event}`);
  const paused = world.endpoints['/noor/warehouse'].id;
  return {
    endpoint: letter.endpoint,
    paused,
    held: (await first(`deliveries?state=held&endpoint=${paused}&limit=1`)).id,
    inactive: world.endpoints['/noor/new'].id,
    healthy: world.endpoints['/noor/agent'].id,
    delivery: letter.id,
    event: letter.event,
    call: event.related.call_id,
    replay: (await first('replays?limit=1')).id,
  };
}

/** Of a list by `name`, those that the words after the suite's name; all without any. For trying things out. */
export const chosen = (list) => list.filter(({ name }) => process.argv.length <= 2 || process.argv.includes(name, 2));

/** The pages: `name` (of the screenshot), `path` below /console, `door` (`operator`, `customer` or `nobody`). */
export async function pages(world) {
  const of = await things(world);
  const busy = `/t/${world.busy}`;
  const empty = `/t/${world.empty}`;
  const rows = [
    ['nobody', 'sign-in', '/sign-in'],
    ['nobody', 'portal-expired', '/portal'],
    ['operator', 'tenants', '/'],
    ['operator', 'tenants-call', `/?call=${of.call}`],
    ['operator', 'overview', busy],
    ['operator', 'endpoints', `${busy}/endpoints`],
    ['operator', 'endpoint-new', `${busy}/endpoints/new`],
    ...['events', 'security', 'delivery'].map((step) => [
      'operator',
      `endpoint-new-${step}`,
      `${busy}/endpoints/new?step=${step}`,
    ]),
    ...['secret', 'test'].map((step) => [
      'operator',
      `endpoint-new-${step}`,
      `${busy}/endpoints/new?step=${step}&endpoint=${of.inactive}`,
    ]),
    ['operator', 'endpoint-held', `${busy}/endpoints/${of.endpoint}`],
    ['operator', 'endpoint-healthy', `${busy}/endpoints/${of.healthy}`],
    ['operator', 'endpoint-deliveries', `${busy}/endpoints/${of.endpoint}?tab=deliveries`],
    ['operator', 'endpoint-test', `${busy}/endpoints/${of.healthy}?tab=test`],
    // One with chosen types: the catalogue is open.
    ['operator', 'endpoint-settings', `${busy}/endpoints/${of.endpoint}?tab=settings`],
    ['operator', 'events', `${busy}/events`],
    ['operator', 'events-live', `${busy}/events?live=1`],
    ['operator', 'event', `${busy}/events/${of.event}`],
    ['operator', 'call', `${busy}/calls/${of.call}`],
    ['operator', 'deliveries', `${busy}/deliveries`],
    ['operator', 'delivery', `${busy}/deliveries/${of.delivery}`],
    ['operator', 'delivery-held', `${busy}/deliveries/${of.held}`],
    ['operator', 'dead-letters', `${busy}/dead-letters`],
    ['operator', 'replays', `${busy}/replays`],
    ['operator', 'replay-new', `${busy}/replays?new=endpoint`],
    ['operator', 'replay', `${busy}/replays/${of.replay}`],
    ['operator', 'event-types', `${busy}/event-types`],
    ['operator', 'event-type-new', `${busy}/event-types?new=true`],
    ['operator', 'event-type', `${busy}/event-types/call.ended`],
    ['operator', 'event-type-own', `${busy}/event-types/booking.made`],
    ['operator', 'settings', `${busy}/settings`],
    ...['portal', 'addresses', 'erasures', 'ledger', 'appearance'].map((tab) => [
      'operator',
      `settings-${tab}`,
      `${busy}/settings?tab=${tab}`,
    ]),
    ['operator', 'keys', '/keys'],
    ['operator', 'key-new', '/keys?new=true'],
    ['operator', 'tenant-new', '/?make=1'],
    ['operator', 'data-keys', '/data-keys'],
    ['operator', 'overview-empty', empty],
    ['operator', 'endpoints-empty', `${empty}/endpoints`],
    ['operator', 'events-empty', `${empty}/events`],
    ['operator', 'dead-letters-empty', `${empty}/dead-letters`],
    ['operator', 'replays-empty', `${empty}/replays`],
    ['operator', 'not-there', `${busy}/endpoints/ep_nowhere`],
    ['operator', 'no-page', '/nowhere'],
    ['customer', 'customer-overview', '/'],
    ['customer', 'customer-endpoints', `${busy}/endpoints`],
  ];
  return chosen(rows.map(([door, name, path]) => ({ door, name, path })));
}
