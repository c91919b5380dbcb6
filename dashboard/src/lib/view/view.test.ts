import { fireEvent, render, screen, within } from '@testing-library/svelte';
import { expect, it, vi } from 'vitest';
import type { Filter } from '../data/filter';
import { PANELS, tabOf } from '../data/panel';
import type { PanelRows } from '../data/rows';
import ChartTable from './ChartTable.svelte';
import Figures from './Figures.svelte';
import FilterChips from './FilterChips.svelte';
import LiveBadge from './LiveBadge.svelte';
import PanelTable from './PanelTable.svelte';
import PeriodPicker from './PeriodPicker.svelte';
import RangeCalendar from './RangeCalendar.svelte';
import ValuesField from './ValuesField.svelte';

function rowsOf(value: string): PanelRows {
  return {
    columns: ['visitors', 'bounce_rate'], total: 1, compared: true, most: 2,
    rows: [{ value, cells: [2, 40], changes: [100, -3], others: [1, 43], share: 1 }],
  };
}

it('shows values of strangers as text, never as markup', () => {
  const evil = '<img src=x onerror="alert(1)">';
  const tab = PANELS.find(({ name }) => name === 'pages')!.tabs[0];
  const { container } = render(PanelTable, {
    rows: rowsOf(evil), tab, sort: { by: 'visitors', down: true }, caption: 'Pages', onpick: () => undefined, onsort: () => undefined,
  });
  expect(container.querySelector('img')).toBeNull();
  expect(container.querySelector('tbody .text')?.textContent).toBe(evil);
});

it('filters by the value behind a row, not by its text', async () => {
  const onpick = vi.fn();
  render(PanelTable, {
    rows: rowsOf('DE'), tab: tabOf(PANELS.find(({ name }) => name === 'places')!, 'countries'), sort: { by: 'visitors', down: true },
    caption: 'Countries', onpick, onsort: () => undefined,
  });
  await fireEvent.click(screen.getByRole('button', { name: 'Show only Germany' }));
  expect(onpick).toHaveBeenCalledWith('DE');
});

it('tells which column sorts, which way, and how a row changed', async () => {
  const onsort = vi.fn();
  render(PanelTable, {
    rows: rowsOf('/'), tab: PANELS.find(({ name }) => name === 'pages')!.tabs[0], sort: { by: 'bounce_rate', down: false }, caption: 'Pages',
    onpick: () => undefined, onsort,
  });
  expect(screen.getByRole('columnheader', { name: 'Bounce' }).getAttribute('aria-sort')).toBe('ascending');
  expect(screen.getByText('down 3 pts')).toBeTruthy();
  expect(screen.queryByText('up 100%')).toBeNull();
  await fireEvent.click(screen.getByRole('button', { name: 'Visitors' }));
  expect(onsort).toHaveBeenCalledWith('visitors');
});

it('opens and removes filters', async () => {
  const onchange = vi.fn();
  const onedit = vi.fn();
  const filters: Filter[] = [{ op: 'is', name: 'source', values: ['Google'] }, { op: 'contains', name: 'page', values: ['<b>'] }];
  const { container } = render(FilterChips, { filters, onedit, onchange });
  await fireEvent.click(screen.getByRole('button', { name: 'Edit filter: Source is Google' }));
  expect(onedit).toHaveBeenLastCalledWith(0);
  await fireEvent.click(screen.getByRole('button', { name: 'Remove filter: Source is Google' }));
  expect(onchange).toHaveBeenLastCalledWith([filters[1]]);
  expect(container.querySelector('.chip b b')).toBeNull();
});

it('takes values by key, typed or offered', async () => {
  const onchange = vi.fn();
  const offer = vi.fn(async (text: string) => [{ value: 'DE', visitors: 3 }, { value: 'DK', visitors: 1 }].filter(({ value }) => text === '' || value.startsWith('D')));
  render(ValuesField, { label: 'Values', name: 'country', values: ['FR'], free: true, offer, onchange });
  const field = screen.getByRole('combobox', { name: 'Values' });
  await fireEvent.focus(field);
  await screen.findByRole('option', { name: /Germany/ });
  await fireEvent.keyDown(field, { key: 'ArrowDown' });
  expect(screen.getByRole('option', { name: /Germany/ }).getAttribute('aria-selected')).toBe('true');
  await fireEvent.keyDown(field, { key: 'Enter' });
  expect(onchange).toHaveBeenLastCalledWith(['FR', 'DE']);
  await fireEvent.input(field, { target: { value: 'XX' } });
  expect(screen.queryByRole('option')).toBeNull();
  await fireEvent.keyDown(field, { key: 'Enter' });
  expect(onchange).toHaveBeenLastCalledWith(['FR', 'XX']);
  await fireEvent.keyDown(field, { key: 'Backspace' });
  expect(onchange).toHaveBeenLastCalledWith([]);
});

it('tells a screen reader which way a figure went', () => {
  render(Figures, {
    figures: [{ metric: 'bounce_rate', value: 40, change: -3, other: 43 }], dimmed: false, metric: 'visitors',
    available: ['visitors', 'bounce_rate'], onpick: () => undefined,
  });
  const figure = within(screen.getByTestId('figure-bounce_rate'));
  expect(figure.getAllByText('40%').map((found) => found.closest('[aria-hidden]') === null)).toEqual([true, false]);
  expect(figure.getByText('down 3 pts')).toBeTruthy();
  expect(screen.getByTestId<HTMLButtonElement>('figure-views_per_visit').disabled).toBe(true);
});

it('lists what the chart draws', () => {
  render(ChartTable, {
    range: '1 – 2 Nov', series: {
      metric: 'visitors', interval: 'day', compared: true, range: { from: '2026-11-01', to: '2026-11-02' }, points: [
        { label: '2026-11-01', value: 1234, partial: false, otherLabel: '2026-10-30', other: 7 },
        { label: '2026-11-02', value: null, partial: true, otherLabel: null, other: null },
      ],
    },
  });
  expect(screen.getAllByRole<HTMLTableRowElement>('row').map((row) => [...row.cells].map((cell) => cell.textContent))).toEqual([
    ['Time', 'Visitors', 'Comparison'], ['Sun, Nov 1, 2026', '1,234', '7'], ['Mon, Nov 2, 2026 · so far', '–', '–'],
  ]);
});

it('says how the connection is', async () => {
  const { rerender } = render(LiveBadge, { live: 1, state: 'live' });
  expect(screen.getByTestId('live-count').textContent).toBe('1 current visitor');
  await rerender({ live: 1, state: 'reconnecting' });
  expect(screen.getByRole('status').textContent).toBe('Reconnecting …');
});

it('steps through periods and never ahead of today', async () => {
  const onpick = vi.fn();
  render(PeriodPicker, { period: { name: 'day' }, today: '2026-11-23', onpick });
  expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Next period' }).disabled).toBe(true);
  await fireEvent.click(screen.getByRole('button', { name: 'Previous period' }));
  expect(onpick).toHaveBeenLastCalledWith({ name: 'day', date: '2026-11-22' });
});

it('picks a range of days by arrow keys, and none ahead of today', async () => {
  const onpick = vi.fn();
  render(RangeCalendar, { range: { from: '2026-11-02', to: '2026-11-04' }, last: '2026-11-23', onpick });
  const grid = screen.getByRole('grid', { name: 'Days of November 2026' });
  expect(within(grid).getAllByRole('gridcell', { selected: true }).map((cell) => cell.textContent?.trim())).toEqual(['2', '3', '4']);
  screen.getByRole('button', { name: 'Wed, Nov 4, 2026' }).focus();
  for (const key of ['ArrowUp', 'ArrowLeft', 'PageUp']) await fireEvent.keyDown(document.activeElement!, { key });
  expect(document.activeElement?.getAttribute('aria-label')).toBe('Sun, Sep 27, 2026');
  await fireEvent.click(document.activeElement!);
  for (const key of ['ArrowDown', 'End']) await fireEvent.keyDown(document.activeElement!, { key });
  expect(document.activeElement?.getAttribute('aria-label')).toBe('Sat, Oct 10, 2026');
  await fireEvent.click(document.activeElement!);
  for (const key of ['PageDown', 'PageDown']) await fireEvent.keyDown(document.activeElement!, { key });
  expect(document.activeElement?.getAttribute('aria-label')).toBe('Mon, Nov 23, 2026');
  expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Tue, Nov 24, 2026' }).disabled).toBe(true);
  await fireEvent.click(screen.getByRole('button', { name: 'Apply' }));
  expect(onpick).toHaveBeenCalledWith({ from: '2026-09-27', to: '2026-10-10' });
});

it('opens its menu by key, closes it by Escape, and takes a custom range', async () => {
  const onpick = vi.fn();
  render(PeriodPicker, { period: { name: '7d' }, today: '2026-11-23', onpick });
  const trigger = screen.getByRole('button', { name: 'Period: Last 7 days' });
  await fireEvent.click(trigger);
  expect(document.activeElement?.textContent).toBe('Last 7 days');
  await fireEvent.keyDown(document.activeElement!, { key: 'ArrowDown' });
  expect(document.activeElement?.textContent).toBe('Last 28 days');
  await fireEvent.keyDown(document.activeElement!, { key: 'Escape' });
  expect(screen.queryByRole('button', { name: 'Yesterday' })).toBeNull();
  expect(document.activeElement).toBe(trigger);

  await fireEvent.click(trigger);
  await fireEvent.click(screen.getByRole('button', { name: 'Custom range' }));
  await screen.findByLabelText('From');
  await fireEvent.input(screen.getByLabelText('From'), { target: { value: '2015-05-17' } });
  await fireEvent.input(screen.getByLabelText('To'), { target: { value: '2015-05-10' } });
  expect(screen.getByRole('alert').textContent).toBe('The first day must not be after the last.');
  await fireEvent.input(screen.getByLabelText('To'), { target: { value: '2015-05-20' } });
  await fireEvent.click(screen.getByRole('button', { name: 'Apply' }));
  expect(onpick).toHaveBeenLastCalledWith({ name: 'custom', from: '2015-05-17', to: '2015-05-20' });
});
