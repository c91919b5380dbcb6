/** New visitors against those seen before. */
import type { components } from '../api/schema';

export type ReturningAnswer = components['schemas']['Returning'];
