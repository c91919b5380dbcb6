// The script with all features. The server puts the features of a file's name
// in the place of @features@, "hash.local" for script.hash.local.js; then only
// they act. Served as it is, it is ours: the tag's data-features names the
// features in the same way; without it all act but hash, local and manual,
// which are attributes of their own in any case.
import { start } from './footfall.js';
import { fileTypes, watch } from './watch.js';

/** @type {any} */
const tag = document.currentScript || document.getElementById('plausible');
/** @type {any} */
const settings = { ...tag.dataset };
const named = '@features@';
const ours = named[0] == '@';
const all = 'outbound-links.file-downloads.form-submissions.tagged-events.pageview-props.exclusions.revenue.404';
for (const name of (ours ? settings.features || all : named).split('.')) settings[name] = 1;

/** @param {string} globs comma list; * is any text without a slash, ** any text */
const matches = (globs) =>
  globs.split(',').some((glob) =>
    RegExp(
      `^${glob
        .trim()
        .replace(/[.+?^$|()[\]{}\\]/g, '\\$&')
        .replace(/\*+/g, (stars) => (stars[1] ? '.*' : '[^/]*'))}/?$`,
    ).test(location.pathname + ('hash' in settings ? location.hash : '')),
  );

/** @type {any} */
const props = {};
for (const { name, value } of tag.attributes)
  if (settings['pageview-props'] && /^event-/.test(name)) props[name.slice(6)] = value;

settings.legacy = !ours;
settings.types = `${tag.getAttribute('file-types') || fileTypes},${tag.getAttribute('add-file-types')}`.split(',');
settings.props = (/** @type {string} */ _, /** @type {any} */ own) => ({ ...props, ...own });
settings.excluded = () =>
  settings.exclusions &&
  ((settings.include && !matches(settings.include)) || (settings.exclude && matches(settings.exclude)));

watch(settings, start({ dataset: settings, src: tag.src }));
