/** Light, dark or as the system; this device remembers it for the first picture, see prefs.svelte.ts. A shared dashboard looks as its address says. */
import { THEMES, type Theme } from '../data/prefs';
import { place } from './location.svelte';

const KEY = 'footfall-theme';

class ThemeChoice {
  choice = $state<Theme>(place.visit?.theme ?? (place.visit?.embed ? 'system' : stored()));
  /** What is shown now. */
  dark = $state(false);

  constructor() {
    const system = window.matchMedia('(prefers-color-scheme: dark)');
    system.addEventListener('change', () => this.#apply(system.matches));
    this.#apply(system.matches);
    const background = place.visit?.background;
    if (background && CSS.supports('color', background)) document.documentElement.style.setProperty('--page', background);
  }

  set(choice: Theme): void {
    this.choice = choice;
    try {
      if (choice === 'system') window.localStorage.removeItem(KEY);
      else window.localStorage.setItem(KEY, choice);
    } catch {
      // A browser that stores nothing shows the choice until it is closed.
    }
    this.#apply(window.matchMedia('(prefers-color-scheme: dark)').matches);
  }

  #apply(systemDark: boolean): void {
    if (this.choice === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = this.choice;
    this.dark = this.choice === 'dark' || (this.choice === 'system' && systemDark);
  }
}

function stored(): Theme {
  try {
    const found = window.localStorage.getItem(KEY);
    return THEMES.find((theme) => theme === found) ?? 'system';
  } catch {
    return 'system';
  }
}

export const theme = new ThemeChoice();
