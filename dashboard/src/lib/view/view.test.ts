import { fireEvent, render, screen, within } from '@testing-library/svelte';
import { expect, it, vi } from 'vitest';
import type { Filter } from '../data/filter';
import { PANELS } from '../data/panel';
import ChartTable from './ChartTable.svelte';
import Figures from './Figures.svelte';
import FilterChips from './FilterChips.svelte';
import LiveBadge from './LiveBadge.svelte';
import PanelTable from './PanelTable.svelte';
import PeriodPicker from './PeriodPicker.svelte';

it('shows values of strangers as text, never as markup', () => {
  const evil = '<img src=x onerror="alert(1)">';
  const tab = PANELS[0]!.tabs[0];
  const { container } = render(PanelTable, {
    rows: { rows: [{ value: evil, visitors: 2, pageviews: 3, share: 1 }], total: 1 }, tab, caption: 'Pages', onpick: () => undefined,
  });
  expect(container.querySelector('img')).toBeNull();
  expect(screen.getByText(evil)).toBeTruthy();
});

it('filters by the value behind a row, not by its text', async () => {
  const onpick = vi.fn();
  render(PanelTable, {
    rows: { rows: [{ value: 'DE', visitors: 2, pageviews: null, share: 1 }], total: 1 }, tab: PANELS[2]!.tabs[0], caption: 'Countries', onpick,
  });
  await fireEvent.click(screen.getByRole('button', { name: 'Show only Germany' }));
  expect(onpick).toHaveBeenCalledWith('DE');
});

it('reverses and removes filters', async () => {
  const onchange = vi.fn();
  const filters: Filter[] = [{ op: 'is', name: 'source', values: ['Google'] }];
  render(FilterChips, { filters, onchange });
  await fireEvent.click(screen.getByRole('button', { name: 'Source is Google. Click to reverse' }));
  expect(onchange).toHaveBeenLastCalledWith([{ op: 'is_not', name: 'source', values: ['Google'] }]);
  await fireEvent.click(screen.getByRole('button', { name: 'Remove filter: Source is Google' }));
  expect(onchange).toHaveBeenLastCalledWith([]);
});

it('tells a screen reader which way a figure went', () => {
  render(Figures, {
    figures: [{ metric: 'bounce_rate', value: 40, change: -3, other: 43 }], dimmed: false, metric: 'visitors',
    available: ['visitors', 'bounce_rate'], onpick: () => undefined,
  });
  const figure = within(screen.getByTestId('figure-bounce_rate'));
  expect(figure.getByText('40%')).toBeTruthy();
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

it('opens its menu by key, closes it by Escape, and takes a custom range', async () => {
  const onpick = vi.fn();
  render(PeriodPicker, { period: { name: '7d' }, today: '2026-11-23', onpick });
  const trigger = screen.getByRole('button', { name: 'Period: Last 7 days' });
  await fireEvent.click(trigger);
  expect(document.activeElement?.textContent).toBe('Last 7 days');
  await fireEvent.keyDown(document.activeElement!, { key: 'ArrowDown' });
  expect(document.activeElement?.textContent).toBe('Last 30 days');
  await fireEvent.keyDown(document.activeElement!, { key: 'Escape' });
  expect(screen.queryByRole('button', { name: 'Yesterday' })).toBeNull();
  expect(document.activeElement).toBe(trigger);

  await fireEvent.click(trigger);
  await fireEvent.click(screen.getByRole('button', { name: 'Custom range' }));
  await fireEvent.input(screen.getByLabelText('From'), { target: { value: '2015-05-17' } });
  await fireEvent.input(screen.getByLabelText('To'), { target: { value: '2015-05-10' } });
  expect(screen.getByRole('alert').textContent).toBe('The first day must not be after the last.');
  await fireEvent.input(screen.getByLabelText('To'), { target: { value: '2015-05-20' } });
  await fireEvent.click(screen.getByRole('button', { name: 'Apply' }));
  expect(onpick).toHaveBeenLastCalledWith({ name: 'custom', from: '2015-05-17', to: '2015-05-20' });
});
