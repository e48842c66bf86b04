// The five steps of somebody who has never seen a webhook: an endpoint, its events and agents, its secret, a sample, and that it
// was received; and what the form does with mistakes.
import { holds, same } from '../lib/report.mjs';
import { until } from '../lib/world.mjs';

/** Add an endpoint, subscribe with an agent filter, copy the secret, test with a sample, confirm receipt; then it gets events. */
export async function fiveSteps({ console: it, world, context }) {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const tenant = await world.tenant('Five steps');
  const path = `/${tenant}/crm`;
  await world.receiver.behave(path);
  await it.go(`/t/${tenant}`);
  await it.follow('overview.first_add');

  await it.fill('endpoints.url', world.receiver.origin + path);
  await it.press('wizard.next');
  await it.choice('radio', 'endpoints.events_some').check();
  await it.page.getByRole('checkbox', { name: 'call.ended', exact: true }).check();
  await it.tag('endpoints.agents', 'agt_7');
  await it.press('wizard.make');
  await it.sees('wizard.made');
  const [made] = await world.api.items(`/v1/tenants/${tenant}/endpoints`);
  same('what was made', [made.state, made.event_types, made.agents], ['inactive', ['call.ended'], ['agt_7']]);

  const { secret } = await world.api.do('GET', `/v1/tenants/${tenant}/endpoints/${made.id}/secret`);
  const group = it.inside(it.by('group', 'endpoints.secret'));
  holds('the secret is hidden at first', !(await it.page.locator('body').innerText()).includes(secret));
  await group.button('common.action.copy').click();
  await until('the secret in the clipboard', async () => (await it.page.evaluate(() => navigator.clipboard.readText())) === secret);
  await group.press('common.secret.reveal');
  await it.reads(secret);
  await it.press('wizard.to_test');

  await world.receiver.behave(path, { secret });
  holds('nothing can be activated before a test', await it.button('endpoint.activate').isDisabled());
  await it.press('endpoint.send_test');
  await it.sees('endpoint.test_ok');
  const [sample] = await world.receiver.arrived(path);
  same('the sample verifies at the receiver', sample.verified, 'ok');
  await it.reads(sample.id);
  await it.choice('checkbox', 'wizard.confirmed').check();
  await it.press('endpoint.activate');
  await it.sees('wizard.done');
  same('its state', (await world.api.do('GET', `/v1/tenants/${tenant}/endpoints/${made.id}`)).state, 'active');

  await world.post(tenant, 'call.ended', 'call_2', { agent: 'agt_8' });
  const wanted = await world.post(tenant, 'call.ended', 'call_1', { agent: 'agt_7' });
  const [, first, ...others] = await world.receiver.arrived(path, 2);
  same(
    'the event of the agent that was chosen arrives, verified, and no other',
    [first.id, first.verified, others.length],
    [wanted, 'ok', 0],
  );
}

/** A mistake is said beside its field, with what was typed kept; so is the draft when the page is loaded again. */
export async function mistakes({ console: it, world }) {
  const tenant = await world.tenant('Mistakes');
  await it.go(`/t/${tenant}/endpoints/new`);
  await it.press('wizard.next');
  same('an empty URL is wrong', await it.field('endpoints.url').getAttribute('aria-invalid'), 'true');
  const refused = 'https://10.0.0.1/hooks';
  await it.fill('endpoints.url', refused);
  for (const step of ['wizard.next', 'wizard.make']) await it.press(step);
  const field = it.field('endpoints.url');
  await field.waitFor();
  await until('the keyboard is there', () => field.evaluate((input) => input === document.activeElement));
  same(
    'the address that is refused is blamed where it is typed',
    [await field.inputValue(), await field.getAttribute('aria-invalid')],
    [refused, 'true'],
  );
  await it.page.reload();
  await it.settled();
  same('a reload keeps the draft', await it.field('endpoints.url').inputValue(), refused);
  same('nothing was made', await world.api.items(`/v1/tenants/${tenant}/endpoints`), []);
}

/** Whoever wants chosen types and chooses none is asked to choose, in the wizard and in the settings: nothing becomes all of them. */
export async function noneChosen({ console: it, world }) {
  const tenant = await world.tenant('None chosen');
  await it.go(`/t/${tenant}/endpoints/new`);
  await it.fill('endpoints.url', `${world.receiver.origin}/${tenant}/new`);
  await it.press('wizard.next');
  await it.choice('radio', 'endpoints.events_some').check();
  await it.press('wizard.make');
  await it.sees('endpoints.choose_one');
  same('nothing was made', await world.api.items(`/v1/tenants/${tenant}/endpoints`), []);
  await it.page.getByRole('checkbox', { name: 'call.ended', exact: true }).check();
  same('what was wrong is not said any more', await it.count('endpoints.choose_one'), 0);

  const endpoint = await world.endpoint(tenant, { event_types: ['call.ended'] });
  await it.go(`/t/${tenant}/endpoints/${endpoint.id}?tab=settings`);
  await it.page.getByRole('checkbox', { name: 'call.ended', exact: true }).uncheck();
  await it.press('endpoint.save');
  await it.sees('endpoints.choose_one');
  const types = async () => (await world.api.do('GET', `/v1/tenants/${tenant}/endpoints/${endpoint.id}`)).event_types;
  same('it gets what it got', await types(), ['call.ended']);
  await it.choice('radio', 'endpoints.events_all').check();
  await it.press('endpoint.save');
  await it.sees('endpoint.saved');
  same('all, as somebody chose', await types(), []);
}

/** A test that fails says at which step and what to mend. */
export async function failedTest({ console: it, world }) {
  const tenant = await world.tenant('Fails');
  const endpoint = await world.endpoint(tenant, {}, { status: 500, body: '{"error":"no such table"}' });
  await it.go(`/t/${tenant}/endpoints/${endpoint.id}?tab=test`);
  const panel = it.inside(it.page.getByRole('tabpanel'));
  await panel.press('endpoint.send_test');
  await it.sees('endpoint.test_failed');
  await it.reads('no such table');
  await world.receiver.behave(endpoint.path, {});
  await panel.press('endpoint.send_test');
  await it.sees('endpoint.test_ok');
}
