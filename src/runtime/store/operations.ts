import { assignmentOperations } from './assignment.js';
import { homeAgentOperations } from './home-agent-operations.js';
import { importOperations } from './import-operations.js';
import { leaseOperations } from './lease-operations.js';
import { sessionOperations } from './session-operations.js';
import { storeOperations } from './store-operations.js';
import { subscriberOperations } from './subscriber-operations.js';

/** Each runs inside a transaction of its caller's, on either database. */
export const operations = {
  ...subscriberOperations,
  ...homeAgentOperations,
  ...assignmentOperations,
  ...leaseOperations,
  ...sessionOperations,
  ...importOperations,
  ...storeOperations,
} as const;

export type OperationName = keyof typeof operations;

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
