// Light, dark, or as the system says. boot.js applies what is remembered before the first paint.
import { store, useStore } from './store.js';

const REMEMBERED = 'redial.theme';
export const THEMES = ['auto', 'light', 'dark'];

function remembered() {
  try {
    const theme = localStorage.getItem(REMEMBERED);
    return THEMES.includes(theme) ? theme : 'auto';
  } catch {
    return 'auto';
  }
}

const current = store(typeof localStorage === 'undefined' ? 'auto' : remembered());

/** 'auto', 'light', 'dark', and draws again when it changes. */
export const useTheme = () => useStore(current);

export function setTheme(theme) {
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(REMEMBERED, theme);
  } catch {
    // For this visit only, then.
  }
  current.set(theme);
}
