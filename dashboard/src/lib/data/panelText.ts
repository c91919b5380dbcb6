/** Titles of panels and of their tabs. */
import { isProp } from './filter';
import { valueText } from './filterText';
import { t, type MessageKey } from './i18n';
import type { Panel, Tab } from './panel';

export function panelTitle(panel: Panel): string {
  return t(`panel.${panel.name}`);
}

/** What a tab's own button says. */
export function tabTitle(panel: Panel, tab: Tab): string {
  return t(`panel.${panel.name}.${tab.name}` as MessageKey);
}

/** What is listed: the tab, the versions of one browser, or the values of one property. */
export function listTitle(panel: Panel, tab: Tab): string {
  if (tab.of !== undefined) return t('panel.versions', { name: tab.of });
  return isProp(tab.filter) && !tab.unchosen ? t('filter.ofProp', { key: tab.filter.slice(5) }) : tabTitle(panel, tab);
}

/** A row's value for people; versions are named with what they are versions of. */
export function rowText(tab: Tab, value: string): string {
  const text = valueText(tab.filter, value);
  return tab.of !== undefined && text === value ? `${tab.of} ${value}` : text;
}
