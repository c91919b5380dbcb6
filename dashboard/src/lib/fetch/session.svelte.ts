/** Who is signed in. undefined: not known yet; null: nobody. */
import { ApiError, signOut, whoAmI, type User } from './api';
import { place } from './location.svelte';

class Session {
  user = $state.raw<User | null | undefined>(undefined);

  /** Who reads as themselves; null for visitors of a shared dashboard, whoever they are. */
  get own(): User | null {
    return place.visit ? null : this.user ?? null;
  }

  /** Finds out; a node that cannot be reached leaves it unknown and throws. */
  async load(): Promise<void> {
    try {
      this.user = await whoAmI();
    } catch (error) {
      if (!(error instanceof ApiError) || !error.unauthorized) throw error;
      this.user = null;
    }
  }

  async end(): Promise<void> {
    try {
      await signOut();
    } catch (error) {
      if (!(error instanceof ApiError) || !error.unauthorized) throw error;
    }
    this.user = null;
  }
}

export const session = new Session();
