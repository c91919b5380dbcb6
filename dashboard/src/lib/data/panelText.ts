/** Titles of panels and of their tabs. */
import { t, type MessageKey } from './i18n';
import type { Panel, Tab } from './panel';

export function panelTitle(panel: Panel): string {
  return t(`panel.${panel.name}`);
}

export function tabTitle(panel: Panel, tab: Tab): string {
  return t(`panel.${panel.name}.${tab.name}` as MessageKey);
}
