/** Something that a form does, with its states: under way, done, refused. */
import { NO_ERRORS, splitFieldError, type FieldErrors } from '../data/fieldError';
import { t } from '../data/i18n';
import { problemText } from '../data/problem';
import { ApiError } from './api';
import { toLogin } from './login';

/** How long a form says that it was saved. */
const SAID_MS = 4_000;

export class Saver {
  busy = $state(false);
  /** The last one went well, a moment ago. */
  saved = $state(false);
  errors = $state.raw<FieldErrors>(NO_ERRORS);
  /** It was refused because the reader may not do it. */
  forbidden = $state(false);
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** fields: those that an error can stand beside. */
  constructor(private fields: readonly string[] = []) {}

  /** Gives true when it went well; what went wrong is in errors. */
  async run(act: () => Promise<unknown>): Promise<boolean> {
    this.clear();
    this.busy = true;
    try {
      await act();
      this.saved = true;
      this.#timer = setTimeout(() => (this.saved = false), SAID_MS);
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.unauthorized) toLogin();
      this.errors = splitFieldError(problemText(error.status, error.message) || t('error.internal'), this.fields);
      // A refusal that is about a field, as a wrong password is, stands beside it.
      this.forbidden = error.status === 403 && this.errors.general !== '';
      if (this.forbidden) this.errors = { fields: {}, general: t('settings.forbidden') };
      return false;
    } finally {
      this.busy = false;
    }
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.saved = this.forbidden = false;
    this.errors = NO_ERRORS;
  }
}
