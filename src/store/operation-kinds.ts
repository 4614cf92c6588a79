import type { OperationName } from './operations.js';

/** Those that change nothing: they need no turn among the writers. */
export const READING: ReadonlySet<OperationName> = new Set<OperationName>([
  'findSubscriber',
  'listSubscribers',
  'showSubscriber',
  'listHomeAgents',
  'listLeases',
  'showLease',
  'leaseOf',
  'leaseHistory',
  'originOfSession',
  'listSessions',
  'checkImport',
  'statistics',
  'listAudit',
]);

/** Those that operators' commands call on the way to a change, and that change nothing by themselves: nobody asks who did. */
export const PREPARING: ReadonlySet<OperationName> = new Set<OperationName>(['stageImport', 'abandonImport']);

/** Those that may take long with many subscribers, and that do not touch leases: bootstraps go on beside them. */
export const LENGTHY: ReadonlySet<OperationName> = new Set<OperationName>([
  'stageImport',
  'finishImport',
  'abandonImport',
]);
