import { describe, expect, it } from 'vitest';
import { addDays, addMonths, daysIn, endOfMonth, hourIn, isDay, startOfWeek, todayIn } from './dates';

describe('isDay', () => {
  it.each([
    ['2026-02-28', true], ['2026-02-29', false], ['2024-02-29', true], ['2026-13-01', false], ['2026-00-10', false],
    ['2026-1-1', false], ['', false], ['0026-01-01', false], ['2026-01-01T00:00', false], ['９999-01-01', false],
  ])('%j is %s', (text, want) => expect(isDay(text)).toBe(want));
});

it('adds days over the ends of months and years', () => {
  expect(addDays('2026-12-31', 1)).toBe('2027-01-01');
  expect(addDays('2024-03-01', -1)).toBe('2024-02-29');
});

it('adds months and keeps to the end of shorter ones', () => {
  expect(addMonths('2026-01-31', 1)).toBe('2026-02-28');
  expect(addMonths('2024-02-29', -12)).toBe('2023-02-28');
  expect(addMonths('2026-11-23', -11)).toBe('2025-12-23');
  expect(endOfMonth('2026-11-05')).toBe('2026-11-30');
});

it('counts both ends of a range, over a change of clocks too', () => {
  expect(daysIn({ from: '2026-03-28', to: '2026-03-30' })).toBe(3);
  expect(daysIn({ from: '2026-01-01', to: '2026-12-31' })).toBe(365);
});

it('begins weeks on Monday', () => {
  expect(startOfWeek('2026-11-23')).toBe('2026-11-23');
  expect(startOfWeek('2026-11-22')).toBe('2026-11-16');
});

describe('the day and hour of a site', () => {
  const now = Date.UTC(2026, 10, 23, 23, 30);
  it.each([
    ['UTC', '2026-11-23 23:00:00'], ['Europe/Berlin', '2026-11-24 00:00:00'], ['America/Los_Angeles', '2026-11-23 15:00:00'],
    ['Asia/Kolkata', '2026-11-24 05:00:00'], ['Pacific/Kiritimati', '2026-11-24 13:00:00'],
  ])('in %s', (zone, want) => {
    expect(hourIn(zone, now)).toBe(want);
    expect(todayIn(zone, now)).toBe(want.slice(0, 10));
  });
  it('falls back to UTC for a zone that the browser does not know', () => {
    expect(hourIn('Mars/Olympus', now)).toBe('2026-11-23 23:00:00');
  });
});
