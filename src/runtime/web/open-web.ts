import { placeOf } from '../config/control-section.js';
import type { WebPage, WebTools } from './page.js';
import type { WebSection } from './web-files.js';

/**
 * Opens the web page of a daemon if it is configured. Resolves with a function that closes it. Rejects with OperatorError,
 * or with the system's error.
 */
export async function openWeb(section: WebSection, page: WebPage, tools: WebTools): Promise<() => Promise<void>> {
  const place = section.web === undefined ? undefined : placeOf(section.web);
  if (!place) return () => Promise.resolve();
  // Loaded only where there is a page, because a start takes longer with it.
  const { servePage } = await import('./served-page.js');
  return servePage(section, place, page, tools);
}
