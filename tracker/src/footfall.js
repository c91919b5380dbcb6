/**
 * The tracker: counts the page views, events and engagement of one page and
 * sends them to the server. It stores nothing on the device, never throws into
 * the page, and sends each event at least once: every body carries a random id,
 * so that the server counts it once. Start at start.
 *
 * EXTRAS, LEGACY and INIT are constants of the build; what they switch off is
 * not in the file. Every visitor pays for every byte here: where the code is
 * terse, the budget in test/size.test.js is the reason.
 */

/** How many undelivered sends are kept to be tried again; the ones after them are given up. */
const QUEUE_MAX = 30;

/**
 * Begins to count this page.
 *
 * @param {{ dataset: import('./settings.js').Settings, src: string }} tag the script element, or what stands for one
 * @returns {import('./types.js').Track} counts an event
 */
export const start = ({ dataset: settings, src }) => {
  /** @type {any} */
  const w = window;

  /** @type {import('./types.js').Payload} the page view that engagement belongs to */
  let page;
  /** @type {string | 0 | undefined} the path that was counted last, none before the first */
  let last;
  /** @type {number} milliseconds engaged and not yet sent; not a number before the first page view */
  let engaged;
  /** @type {any} when the running stretch of engagement began, false while there is none */
  let since;
  /** @type {number} the lowest pixel of the page that was in view */
  let bottom;
  /** @type {number} the depth in percent sent last, -1 before the first */
  let depth;

  /** @type {(() => void)[]} sends to try again, oldest first */
  const queue = [];
  /** @type {any} runs while something is queued */
  let timer;
  /** Half the milliseconds until the queue is tried again. */
  let wait = 1e3;

  const retry = () => {
    timer = 0;
    queue.splice(0).map((attempt) => attempt());
  };

  const scrolled = () => {
    const y = scrollY + innerHeight;
    if (y > bottom) bottom = y;
  };

  /**
   * Reads the clock, which runs while the page is visible and has the focus.
   * When it stands, or the page view is over, what was seen is sent: the first
   * time always, later if it went deeper or lasted three seconds more.
   *
   * @param {unknown} [over]
   */
  const leave = (over) => {
    engaged += since && Date.now() - since;
    since = !document.hidden && document.hasFocus() && Date.now();
    scrolled();
    const percent = ((bottom / document.documentElement.scrollHeight) * 100 + 0.5) | 0;
    if ((over || !since) && (percent > depth || engaged > 2999)) {
      track('engagement', { url: page.u, props: page.p, sd: (depth = percent), e: engaged });
      engaged = 0;
    }
  };

  /**
   * Something changed: counts engagement, and the page shown unless it was
   * counted already or nobody has seen it yet.
   *
   * @param {any} event
   * @param {unknown} [renamed] the page shown is the one before under a new path
   */
  const tick = (event, renamed) => {
    if (event.persisted) last = 0; // back from the browser's cache of whole pages: seen again
    leave();
    since || retry(); // the page may not come back
    const path = location.pathname + ('hash' in settings ? location.hash : '');
    if (path != last && !('manual' in settings) && (last || !document.hidden)) {
      last = path;
      ((LEGACY || EXTRAS) && renamed) || track('pageview');
    }
  };

  /** @type {import('./types.js').Track} */
  const track = (name, o = {}) =>
    new Promise((/** @type {(result?: any) => void} */ done) => {
      /** @type {any} */
      let body = {
        n: name,
        u: o.url || (EXTRAS && o.u) || location.href,
        r: document.referrer,
        p: EXTRAS ? settings.props(name, o.props) : o.props,
        $: (!EXTRAS || settings.revenue) && o.revenue,
        i: o.interactive,
        d: settings.domain,
        h: +('hash' in settings),
        w: screen.width,
        l: navigator.language,
        sd: o.sd,
        e: o.e,
        id: crypto.getRandomValues(new Uint32Array(4)).reduce((id, word) => id + word.toString(16), ''),
      };

      const attempt = () =>
        // A string as body is text/plain by itself, which needs no preflight.
        fetch(settings.api || new URL('/api/event', src), {
          method: 'POST',
          keepalive: true,
          body: JSON.stringify(body),
        })
          .catch((error) => ({ error }))
          .then((/** @type {any} */ result) => {
            // From 429 on, and without any status, another try may succeed.
            if (result.status < 429) wait = 1e3;
            else if (!queue[QUEUE_MAX - 1]) {
              queue.push(attempt);
              timer ||= setTimeout(retry, (wait *= 2));
            }
            done(result);
          });

      /** @type {unknown} */
      let refused =
        (!('local' in settings) && /^(localhost|127\..*|\[::1])?$/.test(location.hostname)) ||
        (!w.__plausible && (navigator.webdriver || w.Cypress || (EXTRAS && (w._phantom || w.__nightmare))));
      try {
        refused ||= (localStorage.footfall_ignore || localStorage.plausible_ignore) == 'true';
      } catch {
        // Storage is closed to this page, so nobody can have opted out in it.
      }

      if (name == 'pageview') {
        leave(1);
        page = body;
        engaged = bottom = 0;
        depth = -1;
        if (EXTRAS && !INIT && settings.excluded()) {
          refused = depth = 1 / 0;
          engaged = NaN;
        }
      }
      if (INIT) {
        if (refused) settings.log(name);
        else refused = !(body = settings.transform(body));
      }
      refused ? done() : attempt();
    })
      .catch((error) => ({ error }))
      .then(o?.callback);

  ['visibilitychange', 'focus', 'blur', 'pageshow', 'popstate'].map((type) => addEventListener(type, /** @type {any} */ (tick)));
  addEventListener('scroll', scrolled);
  ['pushState', 'replaceState'].map((name) => {
    const h = /** @type {any} */ (history);
    const old = h[name];
    h[name] = (/** @type {any} */ ...state) => {
      old.apply(h, state);
      // The older snippets take replaceState for another name of the same page.
      if (LEGACY || EXTRAS) tick(state, (LEGACY || settings.legacy) && last && name == 'replaceState');
      else tick(state);
    };
  });
  tick(w);
  if (!INIT || settings.bind)
    ['footfall', 'plausible'].map((name) => {
      // Both names may have the same stand-in, so its queue is emptied.
      const old = w[name];
      w[name] = track;
      old?.q?.splice(0).map((/** @type {[string]} */ call) => track(...call));
    });
  return track;
};
