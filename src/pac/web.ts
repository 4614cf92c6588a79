import type { Logger } from '../runtime/log/events.js';
import type { Metrics } from '../runtime/service/metrics.js';
import { counterRows, factRows, hookRows } from '../runtime/web/common-tables.js';
import type { WebPage } from '../runtime/web/page.js';
import type { MobileNode } from './mobile-node.js';

export interface PacWebParts {
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly node: MobileNode;
  /** The session's state, without that of the node. */
  readonly session: () => object;
  /** Throws ControlError if there is no open session. */
  readonly trigger: (what: 'reauthenticate' | 'ping') => object;
}

/** What the web page of a PaC shows and does. */
export function pacWebPage({ metrics, log, node, session, trigger }: PacWebParts): WebPage {
  const act = (what: 'reauthenticate' | 'ping') => (_body: unknown, operator: string) => {
    const asked = trigger(what);
    log.info({ operation: what, operator }, 'operator command');
    return asked;
  };
  return {
    daemon: 'pana-pac',
    tables: {
      facts: () => factRows(factsOf(session())),
      binding: () => factRows({ ...node.status().binding }),
      hooks: () => hookRows(node.status().hooks),
      counters: () => counterRows(metrics),
    },
    lists: {},
    actions: { reauthenticate: act('reauthenticate'), ping: act('ping') },
  };
}

/** A failure is its detail, or its reason. */
function factsOf(session: object & { readonly lastFailure?: Partial<Record<'reason' | 'detail', string>> }) {
  const { lastFailure, ...facts } = session;
  return { ...facts, lastFailure: lastFailure && (lastFailure.detail ?? lastFailure.reason) };
}
