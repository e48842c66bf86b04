// The data key that seals endpoints' secrets: rotated step by step, each with what it waits for. Everything stays readable
// throughout. Shows versions and numbers, never a key.
import { html, useEffect, useRef, useState } from '../lib/preact.js';
import { api } from '../lib/api.js';
import { rich, t } from '../lib/i18n.js';
import { useSession } from '../lib/session.js';
import { Link, path } from '../lib/router.js';
import { Time, duration, number } from '../lib/format.js';
import { Button, Card, Confirm, Empty, ErrorBox, Id, KeyValue, Loading, Notice, PageHead, Stat, useAsync, useToast } from '../lib/ui.js';

export const areas = ['data-keys'];

/// How often it is looked at while it waits, in milliseconds.
const FOLLOW_MS = 5000;
/// The steps, in order; `waiting` and `blocked` are two ways in which the second one stands.
const STEPS = ['rotate', 'reseal', 'retire'];
const CURRENT = { settled: 'rotate', resealing: 'reseal', waiting: 'reseal', blocked: 'reseal', retirable: 'retire' };

const KINDS = { settled: 'good', blocked: 'warn' };

const read = () => api('GET', '/v1/data-keys');

/// Seals anew until there is nothing more to do or `isStopped`: each request works for five seconds at most.
async function reseal(onProgress, isStopped) {
  let view = await api('POST', '/v1/data-keys/reseal', { body: {} });
  onProgress(view);
  while (view.state === 'resealing' && !isStopped()) {
    // One after the other: each goes on where the one before it was.
    view = await api('POST', '/v1/data-keys/reseal', { body: {} });
    onProgress(view);
  }
  return view;
}

function Progressed({ progress }) {
  if (!progress) return html`<p class="muted">${t('data-keys.no_walk')}</p>`;
  return html`<div class="grid" aria-live="polite">
      <${Stat} label=${t('data-keys.tenants')} value=${number(progress.tenants)} />
      <${Stat} label=${t('data-keys.endpoints')} value=${number(progress.endpoints)} hint=${t('data-keys.endpoints_hint')} />
      <${Stat} label=${t('data-keys.resealed')} value=${number(progress.resealed)} hint=${t('data-keys.resealed_hint')} />
    </div>
    <p class="muted small">${t('data-keys.began')} <${Time} at=${progress.began_at} />${progress.ended_at
      ? html` · ${t('data-keys.ended')} <${Time} at=${progress.ended_at} />` : html` · ${t('data-keys.under_way')}`}</p>
    ${progress.unreadable > 0 && html`<${Unreadable} progress=${progress} />`}`;
}

/// What could not be opened, with the way to each.
function Unreadable({ progress }) {
  const rest = progress.unreadable - progress.named_unreadable.length;
  return html`<${Notice} kind="warn" title=${t('data-keys.unreadable', { n: progress.unreadable })}>
    <ul>${progress.named_unreadable.map((name) => {
      const [tenant, endpoint] = name.split('/');
      return html`<li key=${name}><${Link} href=${endpoint ? path('t', tenant, 'endpoints', endpoint) : path('t', tenant)}>
        <${Id} value=${name} /><//></li>`;
    })}</ul>
    ${rest > 0 && html`<p>${t('data-keys.and_more', { n: rest })}</p>`}
    <p>${t('data-keys.unreadable_mend')}</p><//>`;
}

/// How long it waits yet, by the second.
function Wait({ until, onOver }) {
  const [left, setLeft] = useState(() => Date.parse(until) - Date.now());
  useEffect(() => {
    const timer = setInterval(() => setLeft(Date.parse(until) - Date.now()), 1000);
    return () => clearInterval(timer);
  }, [until]);
  const isOver = left <= 0;
  useEffect(() => { if (isOver) onOver(); }, [isOver]);
  return html`<p role="status">${isOver ? t('data-keys.wait_over') : t('data-keys.wait', { left: duration(Math.ceil(left / 1000) * 1000) })}</p>`;
}

/// A step: done, the one to do now, or to come; of none of these while nothing is under way.
function Step({ name, n, status, children }) {
  /* messages: data-keys.step.* data-keys.status.* */
  return html`<li class=${`key-step${status ? ` key-step-${status}` : ''}`} aria-current=${status === 'now' ? 'step' : null}>
    <h3><span class="step-number" aria-hidden="true">${number(n)}</span> ${t(`data-keys.step.${name}.name`)}
      ${status && html`<span class="badge">${t(`data-keys.status.${status}`)}</span>`}</h3>
    <p>${t(`data-keys.step.${name}.text`)}</p>
    ${children}
  </li>`;
}

function Steps({ view, work, act, setAsked, stop, reload }) {
  const current = CURRENT[view.state];
  const at = STEPS.indexOf(current);
  const status = (n) => (view.state === 'settled' ? null : n < at ? 'done' : n === at ? 'now' : 'later');
  const isBusy = work !== null;
  return html`<ol class="key-steps">
    <${Step} name="rotate" n=${1} status=${status(0)}>
      ${view.state === 'settled' && html`<div class="row"><${Button} busy=${work === 'rotate'}
        onClick=${() => setAsked('rotate')}>${t('data-keys.rotate')}<//></div>`}
    <//>
    <${Step} name="reseal" n=${2} status=${status(1)}>
      ${current !== 'rotate' && html`<${Progressed} progress=${view.progress} />`}
      ${view.state === 'waiting' && view.next_at && html`<${Wait} key=${view.next_at} until=${view.next_at} onOver=${reload} />`}
      ${view.state === 'resealing' && html`<div class="row">
        <${Button} kind="primary" busy=${work === 'reseal'} onClick=${() => act('reseal')}>
          ${t(view.progress && !view.progress.ended_at ? 'data-keys.reseal_on' : 'data-keys.reseal')}<//>
        ${work === 'reseal' && html`<${Button} onClick=${stop}>${t('data-keys.stop')}<//>`}</div>`}
      ${view.state === 'blocked' && html`<${Notice} kind="warn">${t('data-keys.blocked')}<//><div class="row">
        <${Button} kind="primary" busy=${work === 'reseal'} onClick=${() => act('reseal')}>${t('data-keys.reseal_again')}<//></div>`}
    <//>
    <${Step} name="retire" n=${3} status=${status(2)}>
      ${view.state === 'retirable' && html`<div class="row"><${Button} kind="danger" busy=${work === 'retire'}
        onClick=${() => setAsked('retire')}>${t('data-keys.retire')}<//></div>`}
    <//>
  </ol>
  ${view.state !== 'settled' && html`<details><summary>${t('data-keys.anew_title')}</summary><p>${t('data-keys.anew_text')}</p>
    <${Button} disabled=${isBusy} onClick=${() => setAsked('rotate')}>${t('data-keys.rotate')}<//></details>`}`;
}

function Versions({ view }) {
  const named = (v) => t('data-keys.version', { v });
  return html`<${Card} title=${t('data-keys.versions')}><${KeyValue} items=${[
    [t('data-keys.current'), html`${named(view.current)} · ${view.rotated_at
      ? rich('data-keys.since', { time: html`<${Time} at=${view.rotated_at} mode="exact" />` }) : t('data-keys.first')}`],
    [t('data-keys.readable'), view.readable.length === 0 ? t('data-keys.none') : view.readable.map(named).join(' · ')],
    [t('data-keys.retired'), view.retired.length === 0 ? t('data-keys.none') : html`<ul class="plain-list">${view.retired.map(({ version, at }) => html`
      <li key=${version}>${named(version)} · <${Time} at=${at} mode="exact" /></li>`)}</ul>`],
  ]} /><//>`;
}

export function Page() {
  const who = useSession();
  const isOperator = who?.kind === 'operator';
  const first = useAsync(async () => (isOperator ? read() : null), [isOperator]);
  const [latest, setLatest] = useState(null);
  const [work, setWork] = useState(null);
  const [asked, setAsked] = useState(null);
  const [error, setError] = useState(null);
  const stopped = useRef(false);
  const toast = useToast();
  const view = latest ?? first.data;
  const reload = () => read().then(setLatest, setError);

  // Somebody else, or a command, may be at work on it, too.
  useEffect(() => {
    if (!isOperator || work || !view || view.state === 'settled') return undefined;
    const timer = setInterval(() => { if (!document.hidden) read().then(setLatest, () => {}); }, FOLLOW_MS);
    return () => clearInterval(timer);
  }, [isOperator, work, view?.state]);
  useEffect(() => () => { stopped.current = true; }, []);

  const act = async (name) => {
    setAsked(null);
    setWork(name);
    setError(null);
    stopped.current = false;
    try {
      if (name === 'reseal') await reseal(setLatest, () => stopped.current);
      // The version that is rotated away: a repeated request rotates once.
      else if (name === 'rotate') setLatest(await api('POST', '/v1/data-keys/rotate', { body: { from: view.current } }));
      else setLatest(await api('POST', '/v1/data-keys/retire'));
      toast(t(`data-keys.did.${name}`));
    } catch (failure) {
      setError(failure);
      reload();
    } finally {
      setWork(null);
    }
  };
  /* messages: data-keys.did.* data-keys.ask.* data-keys.state.* */

  const head = html`<${PageHead} title=${t('data-keys.title')} text=${t('data-keys.lead')} />`;
  if (!isOperator) {
    return html`<div class="page stack">${head}
      <${Empty} icon="lock" title=${t('data-keys.operators.title')} text=${t('data-keys.operators.text')} /></div>`;
  }
  if (!view) {
    return html`<div class="page stack">${head}${first.error ? html`<${ErrorBox} error=${first.error} onRetry=${first.reload} />`
      : html`<${Loading} />`}</div>`;
  }
  return html`<div class="page stack">${head}
    <div aria-live="polite"><${Notice} kind=${KINDS[view.state] ?? 'info'}>${t(`data-keys.state.${view.state}`)}<//></div>
    ${error && html`<${ErrorBox} error=${error} onRetry=${() => { setError(null); reload(); }} />`}
    <${Card} title=${t('data-keys.steps')}>
      <${Steps} view=${view} work=${work} act=${act} setAsked=${setAsked} stop=${() => { stopped.current = true; }} reload=${reload} /><//>
    <${Versions} view=${view} />
    ${asked && html`<${Confirm} title=${t(`data-keys.ask.${asked}.title`)} text=${t(`data-keys.ask.${asked}.text`)} danger=${asked === 'retire'}
      typed=${asked === 'retire' ? String(Math.max(0, ...view.readable)) : undefined} action=${t(`data-keys.${asked}`)}
      onClose=${() => setAsked(null)} onConfirm=${() => act(asked)} />`}
  </div>`;
}
