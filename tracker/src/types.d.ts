/** What came of a call: a status, an error, or nothing when it was ignored. */
export type Result = { status: number } | { error: unknown } | undefined
/** What may go with an event. */
export interface EventOptions {
  /** Custom properties; values are sent as given and read as text. */
  props?: Record<string, string | number | boolean>;
  /** Money of the event: decimal amount and ISO 4217 code. */
  revenue?: { amount: number | string; currency: string };
  /** False: the event does not end a bounce. */
  interactive?: boolean;
  /** Called once with the first outcome; what failed is sent again later all the same. */
  callback?: (result?: Result) => void;
  /** The page to count instead of the address bar's. */
  url?: string;
  /** The older name of url. */
  u?: string;
  /** Greatest scroll depth in percent; engagement only. */
  sd?: number;
  /** Engaged milliseconds; engagement only. */
  e?: number;
}

/** The body of one send, as POST /api/event reads it. */
export interface Payload {
  n: string;
  u: string;
  d?: string;
  r?: string | null;
  p?: EventOptions['props'];
  $?: { amount: number | string; currency: string };
  i?: boolean;
  /** 1: the fragment is part of the page. */
  h?: number;
  /** Engaged milliseconds, engagement only. */
  e?: number;
  /** Greatest scroll depth in percent, engagement only. */
  sd?: number;
  /** Screen width in CSS pixels. */
  w?: number;
  /** Language tag of the browser. */
  l?: string;
  /** 128 random bits in hex; a second arrival of the same id is not counted. */
  id?: string;
}

/** Counts an event; with the name "pageview" a page view. Never throws, never rejects. */
export type Track = (name: string, options?: EventOptions) => Promise<void>
/** What init takes, in the script made for a site and in the npm package. */
export interface Options {
  /** Site, or a comma list of sites; the page's host when it is missing. */
  domain?: string;
  /** URL that takes the events; /api/event of where the script came from, or of the page. */
  endpoint?: string;
  /** False: page views are left to the caller. */
  autoCapturePageviews?: boolean;
  /** The fragment is part of the page. */
  hashBasedRouting?: boolean;
  /** Clicks on links to other hosts are events. */
  outboundLinks?: boolean;
  /** Clicks on links to files are events; the types replace the usual ones. */
  fileDownloads?: boolean | { fileExtensions: string[] };
  /** Submitted forms are events. */
  formSubmissions?: boolean;
  /** Count on localhost and in files, too. */
  captureOnLocalhost?: boolean;
  /** False: the console is not told why an event is ignored. */
  logging?: boolean;
  /** Properties of every event, or a function from its name to them. */
  customProperties?: EventOptions['props'] | ((name: string) => EventOptions['props']);
  /** Last word on a payload: null or another falsy value drops the event. */
  transformRequest?: (payload: Payload) => Payload | null | undefined;
  /** False: window.plausible and window.footfall are left alone. npm package only. */
  bindToWindow?: boolean;
}
;