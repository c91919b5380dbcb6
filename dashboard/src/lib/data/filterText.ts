/** Filters in words. */
import { formatValue, NOTHING } from './format';
import { isProp, type Filter, type FilterName, type KnownSegment, type Test } from './filter';
import { t } from './i18n';

/** How many values of a filter are named before the rest is only counted. */
const NAMED_MAX = 3;

export function nameText(name: FilterName): string {
  return isProp(name) ? name.slice(5) : t(`filter.name.${name}`);
}

/** A value of a dimension for people. */
export function valueText(name: FilterName, value: string, segments: readonly KnownSegment[] = []): string {
  if (name === 'segment') return segments.find((segment) => String(segment.id) === value)?.name ?? t('segment.unknown', { id: value });
  if (value === '(none)') return t('panel.none');
  if (name === 'screen') {
    switch (value) {
      case 'XS': case 'SM': case 'MD': case 'LG': case 'XL': return t(`panel.screen.${value}`);
    }
  }
  return formatValue(name, value) || NOTHING;
}

export interface TestWords { name: string; op: string; values: string }

export function testWords(test: Test, segments: readonly KnownSegment[] = []): TestWords {
  const named = test.values.slice(0, NAMED_MAX).map((value) => valueText(test.name, value, segments));
  const more = test.values.length - named.length;
  const name = isProp(test.name) ? t('filter.ofProp', { key: nameText(test.name) }) : nameText(test.name);
  return {
    name: test.done ? t(`filter.${test.done}.name`, { name }) : name,
    op: t(`filter.${test.op}`),
    values: named.join(t('filter.or')) + (more > 0 ? t('filter.more', { count: more }) : ''),
  };
}

export function filterText(filter: Filter, segments: readonly KnownSegment[] = []): string {
  const tests = 'any' in filter ? filter.any : [filter];
  return tests.map((test) => {
    const { name, op, values } = testWords(test, segments);
    return `${name} ${op} ${values}`;
  }).join(t('filter.or'));
}
