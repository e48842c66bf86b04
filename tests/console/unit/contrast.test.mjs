// WCAG AA: every pair of colours that text or a control's edge is made of, light and dark, from style/base.css.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { read } from '../sources.mjs';

const colours = new Map(
  [...read('style/base.css').matchAll(/--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g)].map((found) => [found[1], found.slice(2)]),
);

function luminance(hex) {
  const [r, g, b] = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

function check(front, back, least) {
  for (const [theme, name] of ['light', 'dark'].entries()) {
    const [a, b] = [colours.get(front), colours.get(back)];
    assert.ok(a && b, `${front} or ${back} is no colour`);
    const found = contrast(a[theme], b[theme]);
    assert.ok(found >= least, `${name}: ${front} on ${back} has ${found.toFixed(2)}, less than ${least}`);
  }
}

const GROUNDS = ['ground', 'surface', 'raised', 'sunken', 'hover'];

test('text can be read on every ground, in both themes', () => {
  for (const ground of GROUNDS) for (const text of ['text', 'muted', 'accent', 'accent-hover', 'good', 'bad', 'warn', 'info']) check(text, ground, 4.5);
});

test('states, notices, tags and buttons can be read', () => {
  for (const tone of ['good', 'bad', 'warn', 'info', 'mute']) {
    check(tone, `${tone}-soft`, 4.5);
    check('text', `${tone}-soft`, 4.5);
    check('accent', `${tone}-soft`, 4.5);
    check('bad', `${tone}-soft`, 4.5);
  }
  check('accent', 'accent-soft', 4.5);
  check('text', 'accent-soft', 4.5);
  check('muted', 'accent-soft', 4.5);
  check('on-accent', 'accent', 4.5);
  check('on-accent', 'accent-hover', 4.5);
  check('on-bad', 'bad-strong', 4.5);
  check('text', 'mark', 4.5);
});

test('edges of controls, focus rings and marks of charts can be seen', () => {
  for (const ground of ['ground', 'surface', 'raised', 'sunken']) {
    check('line-strong', ground, 3);
    check('accent', ground, 3);
  }
  for (const tone of ['good', 'bad', 'info', 'warn', 'mute']) check(`${tone}-fill`, 'surface', 3);
});
